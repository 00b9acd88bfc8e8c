// SPDX-License-Identifier: Apache-2.0
//
// Clients that do not mean well, in raw HTTP/2: each costs itself an error or its connection, and the next honest
// client is answered. What gRPC 1.51.1 is known for: CVE-2023-1428 (abort), CVE-2023-33953 (header memory),
// CVE-2023-44487 (rapid reset).
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/process.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::RunningDaemon;

enum FrameType : uint8_t { kData = 0, kHeaders = 1, kRstStream = 3, kSettings = 4, kContinuation = 9 };
constexpr uint8_t kEndHeaders = 4;

// Enough for what leaks to show, few enough for a sanitizer.
constexpr int kResets = 20'000;
constexpr size_t kEndlessHeader = 4u << 20;
// gRPC's own buffers, and what the allocator does not find worth giving back.
constexpr size_t kTolerance = 128u << 20;

// A connection that speaks HTTP/2 frame by frame, as its author likes (RFC 9113, section 4.1).
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(testing::ConnectTo(path)) {
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    Frame(kSettings, 0, 0, "");
  }

  // False: the daemon has hung up.
  bool Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    std::string frame;
    for (const size_t shift : {16, 8, 0}) frame += static_cast<char>(payload.size() >> shift);
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
    frame += payload;
    return Send(frame);
  }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
        continue;
      }
      if (sent < 0 && errno != EAGAIN) return false;
      if (!Drain(POLLOUT)) return false;
    }
    return true;
  }

  // Throws away what the daemon answers, waiting for `events` or an answer. False: it has hung up, or is silent.
  bool Drain(short events) {
    pollfd wait{fd_.get(), static_cast<short>(events | POLLIN), 0};
    if (poll(&wait, 1, 60'000) <= 0) return false;
    if ((wait.revents & POLLIN) == 0) return (wait.revents & events) != 0;
    char sink[65536];
    const ssize_t got = read(fd_.get(), sink, sizeof(sink));
    return got > 0 || (got < 0 && errno == EAGAIN);
  }

  // Whether the daemon hangs up. It has a minute.
  bool HungUp() {
    while (Drain(0)) {
    }
    char byte;
    return recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 || errno != EAGAIN;
  }

 private:
  UniqueFd fd_;
};

// A header field that is not indexed (RFC 7541, section 6.2.2).
std::string Field(std::string_view name, std::string_view value) {
  std::string field(1, '\0');
  for (const std::string_view text : {name, value}) {
    EXPECT_LT(text.size(), 127u);
    field += static_cast<char>(text.size());
    field += text;
  }
  return field;
}

std::string RequestHeaders() {
  return Field(":method", "POST") + Field(":scheme", "http") + Field(":path", "/kinsock.v1.VmService/ListVms") +
         Field(":authority", "x") + Field("content-type", "application/grpc") + Field("te", "trailers");
}

class HostileClientTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(daemon_.Info().version(), "0.1.0") << "an honest client is answered"; }

  static size_t ResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    size_t pages = 0, resident = 0;
    statm >> pages >> resident;
    return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }

  RunningDaemon daemon_;
};

TEST_F(HostileClientTest, SpeaksNoHttp) {
  const UniqueFd fd = testing::ConnectTo(daemon_.api_socket());
  const std::string noise(100'000, '\xfe');
  send(fd.get(), noise.data(), noise.size(), MSG_NOSIGNAL);
}

TEST_F(HostileClientTest, SaysNothingAtAll) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(testing::ConnectTo(daemon_.api_socket()));
  EXPECT_EQ(daemon_.Info().version(), "0.1.0");
}

TEST_F(HostileClientTest, OpensAndResetsCallsAsFastAsItCan) {
  RawClient client(daemon_.api_socket());
  const std::string headers = RequestHeaders();
  const std::string cancel("\0\0\0\x8", 4);
  const size_t before = ResidentBytes();
  uint32_t stream = 1;
  for (int i = 0; i < kResets; ++i, stream += 2) {
    if (!client.Frame(kHeaders, kEndHeaders, stream, headers)) break;
    if (!client.Frame(kRstStream, 0, stream, cancel)) break;
  }
  EXPECT_EQ(daemon_.Info().version(), "0.1.0");
  // gRPC is still at it; when it is through, nothing of it is left.
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (ResidentBytes() > before + kTolerance && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(daemon_.Info().version(), "0.1.0");
    ReturnFreeMemory();
  }
  EXPECT_LT(ResidentBytes(), before + kTolerance);
}

TEST_F(HostileClientTest, SendsHeadersWithoutEnd) {
  RawClient client(daemon_.api_socket());
  const size_t before = ResidentBytes();
  ASSERT_TRUE(client.Frame(kHeaders, 0, 1, RequestHeaders()));
  // A literal whose length is said to be 1 GiB, and then its bytes.
  ASSERT_TRUE(client.Frame(kContinuation, 0, 1, std::string("\0\x01x\x7f\x81\xff\xff\xff\x03", 9)));
  const std::string piece(16'384, 'x');
  size_t sent = 0;
  while (sent < kEndlessHeader && client.Frame(kContinuation, 0, 1, piece)) sent += piece.size();
  EXPECT_LT(ResidentBytes(), before + kTolerance) << "after " << sent << " bytes";
}

TEST_F(HostileClientTest, SendsAMessageThatIsTooLarge) {
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  (*request.mutable_vm()->mutable_annotations())["note"] = std::string(5u << 20, 'x');
  EXPECT_EQ(daemon_.Create(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(HostileClientTest, SendsTextThatIsNotUtf8) {
  // field 1 (vm_id), two bytes that no UTF-8 has.
  const grpc::Slice bytes("\x0a\x02\xff\xfe", 4);
  const grpc::ByteBuffer request(&bytes, 1);
  grpc::ByteBuffer response;
  grpc::GenericStub stub(daemon_.NewChannel());
  grpc::ClientContext context;
  testing::SetDeadline(context);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/kinsock.v1.VmService/CreateVm", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(daemon_.Info().counts().vms(), 0u);
}

TEST_F(HostileClientTest, AsksAndGoesAway) {
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::microseconds(200));
    v1::CreateVmRequest request;
    request.set_vm_id(absl::StrCat("vm", i));
    v1::Vm vm;
    daemon_.vms().CreateVm(&context, request, &vm);
  }
  // What was made was made whole: each can be seen and deleted.
  v1::ListVmsRequest list;
  list.set_page_size(1000);
  v1::ListVmsResponse page;
  ASSERT_TRUE(daemon_.List(list, &page).ok());
  for (const v1::Vm& vm : page.vms()) EXPECT_TRUE(daemon_.Delete(vm.name().substr(4)).ok());
}

TEST_F(HostileClientTest, ManyClientsCreateTheSameVm) {
  std::vector<std::thread> clients;
  std::atomic<int> made{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        if (daemon_.Create(absl::StrCat("vm", round), 100 + static_cast<uint32_t>(round)).ok()) ++made;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(made, 20) << "each exactly once";
}

}  // namespace
}  // namespace kinsock
