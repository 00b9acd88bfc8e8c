// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_KILL_FORWARD_CLIENT_H_
#define KINSOCK_TESTS_SERVER_KILL_FORWARD_CLIENT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "tests/server/daemon_process.h"
#include "tests/server/forward_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {

// One client with forwards of a VM of its own, each at its own path. What each is, in one text; empty: it is not there.
class KilledForwardClient {
 public:
  KilledForwardClient(const DaemonProcess& daemon, uint64_t seed) : directory_(daemon / "f"), random_(seed) {
    for (int i = 0; i < kForwards; ++i) known_[absl::StrCat("f-", i)] = "";
  }

  // Calls until a call is not answered.
  void Run(DaemonProcess& daemon) {
    const auto stub = v1::ForwardService::NewStub(daemon.channel());
    ForwardClient client(*stub);
    unsure_.clear();
    // The VM goes now and then, and takes its forwards with it.
    while (unsure_.empty()) {
      if (!has_vm_) {
        if (!Note(daemon.Create(kVm), "vm", "")) return;
        has_vm_ = true;
      }
      auto forward = known_.begin();
      std::advance(forward, random_() % known_.size());
      const std::string id = forward->first;
      const auto port = static_cast<uint32_t>(1 + random_() % 1000);
      if (random_() % 32 == 0) {
        if (!Note(daemon.Delete(kVm), "vm", "")) return;
        has_vm_ = false;
        for (auto& [each, state] : known_) state.clear();
      } else if (forward->second.empty()) {
        Note(client.Create(ForwardClient::ToGuest(id, kVm, port, Address(id))), id, absl::StrCat(port));
      } else if (random_() % 2 == 0) {
        v1::UpdateForwardRequest request;
        request.mutable_forward()->set_name("forwards/" + id);
        request.mutable_forward()->set_guest_port(port);
        request.mutable_update_mask()->add_paths("guest_port");
        Note(client.Update(request), id, absl::StrCat(port));
      } else {
        Note(client.Delete(id), id, "");
      }
    }
  }

  // What there is after a start, against what was answered before.
  void Compare(DaemonProcess& daemon, bool has_vm) {
    const auto stub = v1::ForwardService::NewStub(daemon.channel());
    ForwardClient client(*stub);
    EXPECT_TRUE(has_vm == has_vm_ || unsure_ == "vm");
    // Both or neither: they go in one entry.
    const bool gone = has_vm_ && !has_vm;
    has_vm_ = has_vm;
    for (auto& [id, state] : known_) {
      SCOPED_TRACE(id);
      v1::Forward forward;
      const bool found = client.Get(id, &forward).ok();
      const std::string is = found ? absl::StrCat(forward.guest_port()) : "";
      const std::string was = gone ? "" : state;
      EXPECT_TRUE(is == was || (id == unsure_ && is == may_be_)) << "is \"" << is << "\", was \"" << was << "\"";
      EXPECT_EQ(forward.status().error(), "");
      EXPECT_EQ(TryConnect(NewUnixSocket(), directory_ + id), found);
      state = is;
    }
  }

  static constexpr char kVm[] = "forwarder";
  int answers() const { return answers_; }

 private:
  static constexpr int kForwards = 6;

  std::string Address(const std::string& id) const { return "unix:" + directory_ + id; }

  // Whether the daemon answered; `object` is to become `after` then.
  bool Note(const grpc::Status& status, const std::string& object, const std::string& after) {
    if (!status.ok() && Reason(status).empty()) {
      unsure_ = object;
      may_be_ = after;
      return false;
    }
    ++answers_;
    EXPECT_TRUE(status.ok()) << object << ": " << status.error_message();
    if (object != "vm") known_[object] = after;
    return true;
  }

  const std::string directory_;
  std::mt19937_64 random_;
  std::map<std::string, std::string> known_;  // id -> port in the guest
  bool has_vm_ = false;
  std::string unsure_;  // which it was that was not answered about
  std::string may_be_;  // and what that is, if it happened
  int answers_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_KILL_FORWARD_CLIENT_H_
