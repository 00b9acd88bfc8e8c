// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_E2E_NESTED_FORWARD_FIXTURE_H_
#define KINSOCK_TESTS_E2E_NESTED_FORWARD_FIXTURE_H_

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/process.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// Host programs on this machine's own AF_VSOCK. The kernel completes connections by itself, so nothing here waits.

inline sockaddr_vm VsockAddress(uint32_t cid, uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

// A program's connection to `port` of this machine; invalid: refused.
inline UniqueFd CallHost(uint32_t port) {
  UniqueFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_vm address = VsockAddress(VMADDR_CID_LOCAL, port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return UniqueFd();
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return fd;
}

inline UniqueFd ListenOnHost(uint32_t port) {
  UniqueFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_vm address = VsockAddress(VMADDR_CID_ANY, port);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return UniqueFd();
  return listen(fd.get(), 16) == 0 ? std::move(fd) : UniqueFd();
}

inline uint32_t LocalPort(const UniqueFd& fd) {
  sockaddr_vm address{};
  socklen_t size = sizeof(address);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return address.svm_port;
}

// kinsockd as a process, and simulated guests on its VMs.
class ForwardTest : public ::testing::Test {
 protected:
  struct Pair {
    std::unique_ptr<HybridClient> program;
    Stream guest;
  };

  void TearDown() override {
    for (const auto& guest : guests_) {
      EXPECT_THAT(guest->violations().list(), ::testing::IsEmpty()) << "guest " << guest->cid();
    }
    guests_.clear();
    if (daemon_ == nullptr) return;
    EXPECT_TRUE(daemon_->running()) << daemon_->Stderr();
    EXPECT_EQ(daemon_->Stop(), 0) << daemon_->Stderr();
    daemon_.reset();
  }

  std::string SocketOf(uint32_t cid) const { return dir_ / ("vm" + std::to_string(cid)); }

  // "forward-cid=1,forward-listen=9001" and the like, as one --vm option.
  std::string Vm(uint32_t cid, const std::string& host_side) const {
    return "guest-cid=" + std::to_string(cid) + ",socket=" + SocketOf(cid) + "," + host_side;
  }

  // Starts it with these VMs and waits until it serves them.
  void StartDaemon(const std::vector<std::string>& vms) {
    daemon_ = StartKinsockd(vms);
    RunUntil([&] { return !daemon_->running() || daemon_->Stderr().find("daemon.started") != std::string::npos; });
    ASSERT_TRUE(daemon_->running()) << daemon_->Stderr();
  }

  // What it says when it does not start.
  std::string Refusal(const std::vector<std::string>& vms) {
    const std::unique_ptr<Process> daemon = StartKinsockd(vms);
    const std::optional<int> status = daemon->Wait(Stage::kPatience);
    EXPECT_TRUE(status.has_value() && *status != 0);
    return daemon->Stderr();
  }

  SimulatedGuest& Boot(uint32_t cid) {
    guests_.push_back(std::make_unique<SimulatedGuest>(stage_));
    const absl::Status status = guests_.back()->PowerOn(SocketOf(cid));
    EXPECT_TRUE(status.ok()) << status;
    return *guests_.back();
  }

  // One VM with a guest, CID 42, whose host is this machine.
  SimulatedGuest& BootOne() {
    StartDaemon({Vm(42, "forward-cid=1,forward-listen=9001+9002")});
    return Boot(42);
  }

  // A host program that called the guest.
  Pair ConnectFromHost(SimulatedGuest& guest, Port port = 9001) {
    guest.Listen(port);
    UniqueFd fd = CallHost(port);
    EXPECT_TRUE(fd.valid());
    auto program = std::make_unique<HybridClient>(stage_, std::move(fd));
    return {std::move(program), guest.Accept(port)};
  }

  // A guest program that called a host program.
  Pair ConnectToHost(SimulatedGuest& guest, Port port = 7000) {
    const UniqueFd listener = ListenOnHost(port);
    EXPECT_TRUE(listener.valid());
    const Stream stream = guest.Connect(VMADDR_CID_HOST, port);
    UniqueFd accepted;
    RunUntil([&] {
      if (!accepted.valid()) accepted.reset(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return accepted.valid() && stream.established();
    });
    return {std::make_unique<HybridClient>(stage_, std::move(accepted)), stream};
  }

  void Exchange(Pair& pair, uint32_t seed, uint64_t bytes) {
    pair.guest.ExpectPattern(seed);
    pair.program->SendPattern(seed, bytes);
    pair.program->ExpectPattern(seed + 1);
    pair.guest.SendPattern(seed + 1, bytes);
    RunUntil([&] { return pair.guest.received_bytes() >= bytes && pair.program->received_bytes() >= bytes; });
    EXPECT_EQ(pair.guest.Verdict(bytes), "exact");
    EXPECT_EQ(pair.program->Verdict(bytes), "exact");
  }

  void RunUntil(const std::function<bool()>& done) {
    const auto limit = HasFailure() ? std::chrono::milliseconds(200) : kPatience;
    if (!stage_.RunUntil(done, limit)) ADD_FAILURE() << "waited in vain\n" << stage_.Describe();
  }

  Stage& stage() { return stage_; }

 private:
  // The machine is emulated.
  static constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(60);

  static std::unique_ptr<Process> StartKinsockd(const std::vector<std::string>& vms) {
    const char* path = getenv("KINSOCKD");
    std::vector<std::string> argv{path != nullptr ? path : "kinsockd"};
    for (const std::string& vm : vms) argv.insert(argv.end(), {"--vm", vm});
    return std::make_unique<Process>(argv);
  }

  TempDir dir_;
  Stage stage_;
  std::unique_ptr<Process> daemon_;
  std::vector<std::unique_ptr<SimulatedGuest>> guests_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_E2E_NESTED_FORWARD_FIXTURE_H_
