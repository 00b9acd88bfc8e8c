// SPDX-License-Identifier: Apache-2.0
//
// Clients that do not mean well, in raw HTTP/2: each costs itself an error or its connection, and the next honest
// client is answered. What gRPC 1.51.1 is known for: CVE-2023-1428 (abort), CVE-2023-33953 (header memory),
// CVE-2023-44487 (rapid reset).
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/host/process.h"
#include "server/rpc/api_limits.h"
#include "tests/server/raw_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/sanitizers.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::CallHeaders;
using testing::kContinuation;
using testing::kEndHeaders;
using testing::kHeaders;
using testing::kRstStream;
using testing::RawClient;
using testing::RunningDaemon;

// Enough for what leaks to show, few enough for a sanitizer.
constexpr int kResets = 20'000;
constexpr size_t kEndlessHeader = 4u << 20;
// gRPC's own buffers, and what the allocator does not find worth giving back.
constexpr size_t kTolerance = 128u << 20;

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
  RawClient client(testing::ConnectTo(daemon_.api_socket()));
  const std::string headers = CallHeaders("kinsock.v1.VmService/ListVms");
  const std::string cancel("\0\0\0\x8", 4);
  const size_t before = ResidentBytes();
  uint32_t stream = 1;
  for (int i = 0; i < kResets; ++i, stream += 2) {
    if (!client.Frame(kHeaders, kEndHeaders, stream, headers)) break;
    if (!client.Frame(kRstStream, 0, stream, cancel)) break;
  }
  EXPECT_EQ(daemon_.Info().version(), "0.1.0");
  if (testing::kThreadSanitizer) return;  // it keeps what is freed
  // gRPC is still at it; when it is through, nothing of it is left.
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (ResidentBytes() > before + kTolerance && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(daemon_.Info().version(), "0.1.0");
    ReturnFreeMemory();
  }
  EXPECT_LT(ResidentBytes(), before + kTolerance);
}

TEST_F(HostileClientTest, SendsHeadersWithoutEnd) {
  RawClient client(testing::ConnectTo(daemon_.api_socket()));
  const size_t before = ResidentBytes();
  ASSERT_TRUE(client.Frame(kHeaders, 0, 1, CallHeaders("kinsock.v1.VmService/ListVms")));
  // A literal whose length is said to be 1 GiB, and then its bytes.
  ASSERT_TRUE(client.Frame(kContinuation, 0, 1, std::string("\0\x01x\x7f\x81\xff\xff\xff\x03", 9)));
  const std::string piece(16'384, 'x');
  size_t sent = 0;
  while (sent < kEndlessHeader && client.Frame(kContinuation, 0, 1, piece)) sent += piece.size();
  EXPECT_LT(ResidentBytes(), before + kTolerance) << "after " << sent << " bytes";
}

TEST_F(HostileClientTest, OpensMoreCallsThanItMay) {
  RawClient client(testing::ConnectTo(daemon_.api_socket()));
  ASSERT_TRUE(client.Served());
  ASSERT_TRUE(client.Frame(testing::kSettings, testing::kAck, 0, "")) << "of gRPC's own settings (ApiGreeter)";
  const std::string headers = CallHeaders("kinsock.v1.VmService/ListVms");
  // None is ever complete, so none ends.
  uint32_t stream = 1;
  for (int i = 0; i < kMaxStreamsPerConnection; ++i, stream += 2) {
    ASSERT_TRUE(client.Frame(kHeaders, kEndHeaders, stream, headers));
  }
  EXPECT_EQ(daemon_.Info().version(), "0.1.0");
  const auto before = std::chrono::steady_clock::now();
  client.Frame(kHeaders, kEndHeaders, stream, headers);
  while (client.Next().has_value()) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30)) << "it is hung up on at once";
}

// gRPC alone would take calls without end from a client that never says that it has heard how many it may have.
TEST_F(HostileClientTest, NeverAcknowledgesHowManyCallsItMayHave) {
  const size_t before = ResidentBytes();
  RawClient client(testing::ConnectTo(daemon_.api_socket()), false);
  const std::string headers = CallHeaders("kinsock.v1.VmService/ListVms");
  uint32_t stream = 1;
  for (int i = 0; i < kResets && client.Frame(kHeaders, kEndHeaders, stream, headers); ++i) stream += 2;
  EXPECT_LT(stream, 2u * kResets) << "it is hung up on";
  EXPECT_LT(ResidentBytes(), before + (16u << 20));
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
