// SPDX-License-Identifier: Apache-2.0
//
// Clients that want more than their share: calls without number, answers that they do not read, calls that they reset,
// the schema over and over. It costs themselves time, or an error; main and memory stay there for the others.
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/grpc/health/v1/health.grpc.pb.h"
#include "server/host/process.h"
#include "server/rpc/api_limits.h"
#include "tests/server/raw_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/other_user.h"
#include "tests/support/sanitizers.h"
#include "tests/support/unix_socket.h"
#include "tests/web/http_client.h"

namespace kinsock {
namespace {

using testing::CallHeaders;
using testing::kData;
using testing::kEndHeaders;
using testing::kEndStream;
using testing::kHeaders;
using testing::kRstStream;
using testing::kSettings;
using testing::OtherUser;
using testing::RawClient;
using testing::RunningDaemon;

// Numbers that no machine has given to anybody.
const OtherUser kStranger{61'000, 61'000, {}};
const OtherUser kViewer{61'001, 61'001, {}};

constexpr uint8_t kWindowUpdate = 8;
// A page of these is about a megabyte.
constexpr int kVms = 60;
constexpr size_t kAnnotationBytes = 16'000;
// A few pages in several forms, gRPC's own buffers, and what the allocator does not find worth giving back.
constexpr size_t kTolerance = 64u << 20;

std::string Message(std::string_view bytes) {
  std::string message(1, '\0');
  for (const int shift : {24, 16, 8, 0}) message += static_cast<char>(bytes.size() >> shift);
  return message + std::string(bytes);
}

// SETTINGS_INITIAL_WINDOW_SIZE (4), and a WINDOW_UPDATE's increment.
std::string Number(uint32_t value, std::string bytes = "") {
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift);
  return bytes;
}
std::string WindowOf(uint32_t bytes) { return Number(bytes, std::string("\0\4", 2)); }

class GreedyClientTest : public ::testing::Test {
 protected:
  GreedyClientTest() {
    Config config;
    EXPECT_EQ(config.api_roles.Add("viewer=user:61001"), "");
    umask(0007);  // as kinsockd does
    daemon_ = std::make_unique<RunningDaemon>(std::move(config), nullptr, true);
    EXPECT_TRUE(daemon_->started().ok()) << daemon_->started();
    chmod(daemon_->directory().c_str(), 0755);
  }
  void TearDown() override { EXPECT_EQ(daemon_->Info().version(), "0.1.0") << "an honest client is answered"; }

  void MakeLargeVms() {
    for (int i = 0; i < kVms; ++i) {
      v1::CreateVmRequest request;
      request.set_vm_id(absl::StrCat("vm", i));
      (*request.mutable_vm()->mutable_annotations())["note"] = std::string(kAnnotationBytes, 'x');
      ASSERT_TRUE(daemon_->Create(request).ok());
    }
  }

  // A complete call of `method`, which answers each on its stream.
  static bool Call(RawClient& client, uint32_t stream, std::string_view method, const std::string& request = "",
                   bool whole = true) {
    return client.Frame(kHeaders, kEndHeaders, stream, CallHeaders(method)) &&
           client.Frame(kData, whole ? kEndStream : 0, stream, Message(request));
  }

  // What metrics say of a series; -1: nothing.
  using Metrics = std::function<double(const std::string& series)>;

  // Asks for them until they are as they are to be. False: they never are.
  bool MetricsBecome(const std::function<bool(const Metrics&)>& right) const {
    const testing::HttpClient http(daemon_->http_socket());
    const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      const std::string text = http.Get("/metrics").body;
      const auto value = [&text](const std::string& series) {
        const size_t at = text.find("\n" + series + " ");
        return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
      };
      if (right(value)) return true;
    }
    return false;
  }

  // A client without a role, whose window of HTTP/2 is shut.
  std::unique_ptr<RawClient> StrangerThatReadsNothing() {
    auto client = std::make_unique<RawClient>(testing::ConnectAs(kStranger, daemon_->api_socket()));
    EXPECT_TRUE(client->Served());
    EXPECT_TRUE(client->Frame(kSettings, testing::kAck, 0, ""));
    EXPECT_TRUE(client->Frame(kSettings, 0, 0, WindowOf(0)));
    return client;
  }

  static size_t ResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    size_t pages = 0, resident = 0;
    statm >> pages >> resident;
    return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }

  std::unique_ptr<RunningDaemon> daemon_;
};

// A thousand large lists at once are a second's work and more, and a neighbour's calls come between them.
TEST_F(GreedyClientTest, AsksAThousandTimesAtOnceAndOthersAreAnsweredMeanwhile) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "only root can be others";
  constexpr int kCalls = 1000;
  ASSERT_NO_FATAL_FAILURE(MakeLargeVms());
  const auto channel =
      grpc::CreateInsecureChannelFromFd("api", testing::ConnectAs(kViewer, daemon_->api_socket()).release());
  const auto stub = v1::VmService::NewStub(channel);
  {
    // A channel of a descriptor does not wait until it has read the daemon's SETTINGS: a thousand calls could fill the
    // socket before it acknowledges them (ApiGreeter).
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListVmsResponse page;
    ASSERT_TRUE(stub->ListVms(&context, v1::ListVmsRequest(), &page).ok());
  }
  struct Listing {
    grpc::ClientContext context;
    v1::ListVmsRequest request;
    v1::ListVmsResponse page;
  };
  std::vector<std::unique_ptr<Listing>> listings;
  // Under the lock, with which the last callback is through when this returns.
  std::mutex mutex;
  std::condition_variable changed;
  int answered = 0, failed = 0;
  const auto await = [&](int count) {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return answered >= count; });
    return answered;
  };
  for (int i = 0; i < kCalls; ++i) {
    listings.push_back(std::make_unique<Listing>());
    Listing& listing = *listings.back();
    testing::SetDeadline(listing.context);
    listing.request.set_page_size(1000);
    listing.request.set_view(v1::FULL);
    stub->async()->ListVms(&listing.context, &listing.request, &listing.page,
                           [&, page = &listing.page](const grpc::Status& status) {
                             page->Clear();
                             const std::lock_guard<std::mutex> lock(mutex);
                             ++answered;
                             if (!status.ok()) ++failed;
                             changed.notify_all();
                           });
  }
  await(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(daemon_->Info().version(), "0.1.0");
  EXPECT_LT(await(1), kCalls / 2) << "the neighbour was not kept waiting for all of them";
  await(kCalls);
  EXPECT_EQ(failed, 0) << "they have waited, and none was refused";
}

TEST_F(GreedyClientTest, ReadsNoAnswers) {
  constexpr int kCalls = 500;
  ASSERT_NO_FATAL_FAILURE(MakeLargeVms());
  const size_t before = ResidentBytes();
  RawClient client(testing::ConnectTo(daemon_->api_socket()));
  ASSERT_TRUE(client.Served());
  ASSERT_TRUE(client.Frame(kSettings, testing::kAck, 0, ""));
  ASSERT_TRUE(client.Frame(kSettings, 0, 0, WindowOf(0)));
  // page_size: 1000
  for (uint32_t i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(Call(client, 2 * i + 1, "kinsock.v1.VmService/ListVms", "\x08\xe8\x07"));
  }
  // Another program of the same user has as many turns meanwhile.
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(daemon_->Info().version(), "0.1.0");
  if (!testing::kSanitized) {
    EXPECT_LT(ResidentBytes(), before + kTolerance);
  }
  // Metrics tell that calls stand still, and for what: as much is unread as may be.
  EXPECT_TRUE(MetricsBecome([](const Metrics& metrics) {
    const double open = metrics("kinsock_api_open_calls");
    return open > 0 && open < static_cast<double>(kMaxOpenCallsOfOperator) &&
           metrics("kinsock_api_waiting_calls") == kCalls - open &&
           metrics("kinsock_api_held_bytes{of=\"answers\"}") >= static_cast<double>(kMaxUnreadBytes) &&
           metrics("kinsock_api_held_bytes{of=\"requests\"}") == 3 * kCalls &&
           metrics("kinsock_api_refused_calls_total") == 0;
  }));

  // It reads after all, and has lost nothing by that.
  ASSERT_TRUE(client.Frame(kSettings, 0, 0, WindowOf(0x7fffffff)));
  ASSERT_TRUE(client.Frame(kWindowUpdate, 0, 0, Number(0x7fff0000 - 65'535)));
  int answered = 0;
  size_t bytes = 0;
  while (answered < kCalls) {
    const std::optional<RawClient::Answer> answer = client.Next();
    ASSERT_TRUE(answer.has_value()) << "after " << answered << " answers";
    if (answer->type == kData) bytes += answer->payload.size();
    if (answer->type == kHeaders && (answer->flags & kEndStream) != 0) ++answered;
  }
  EXPECT_GT(bytes, size_t{kCalls} * kVms * kAnnotationBytes);
}

TEST_F(GreedyClientTest, ResetsCallsThatAreComplete) {
  constexpr int kCalls = 20'000;
  RawClient client(testing::ConnectTo(daemon_->api_socket()));
  const std::string cancel("\0\0\0\x8", 4);
  const size_t before = ResidentBytes();
  uint32_t stream = 1;
  for (int i = 0; i < kCalls; ++i, stream += 2) {
    if (!Call(client, stream, "kinsock.v1.AdminService/GetInfo")) break;
    if (!client.Frame(kRstStream, 0, stream, cancel)) break;
  }
  EXPECT_EQ(daemon_->Info().version(), "0.1.0");
  if (testing::kSanitized) return;
  // gRPC is still at it; when it is through, nothing of it is left.
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (ResidentBytes() > before + kTolerance && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(daemon_->Info().version(), "0.1.0");
    ReturnFreeMemory();
  }
  EXPECT_LT(ResidentBytes(), before + kTolerance);
}

// A caller without any role may have the schema, and not the daemon's memory.
TEST_F(GreedyClientTest, AsksForTheSchemaOverAndOver) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "only root can be others";
  constexpr uint32_t kStreams = 400;
  const std::string question = "\x22\x14kinsock.v1.VmService";  // file_containing_symbol
  const size_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(StrangerThatReadsNothing());
    RawClient& client = *clients.back();
    // At one go, which the socket has room for: no answer is thrown away.
    std::string calls;
    for (uint32_t stream = 1; stream < 2 * kStreams; stream += 2) {
      calls += RawClient::FrameOf(kHeaders, kEndHeaders, stream,
                                  CallHeaders("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
      calls += RawClient::FrameOf(kData, 0, stream, Message(question));
    }
    ASSERT_TRUE(client.Send(calls));
  }
  // All but a few are refused, which needs no window.
  for (size_t i = 0; i < clients.size(); ++i) {
    for (uint32_t refused = 0; refused < kStreams - kMaxSchemaStreamsPerCaller;) {
      const std::optional<RawClient::Answer> answer = clients[i]->Next();
      ASSERT_TRUE(answer.has_value()) << "client " << i << " after " << refused;
      if (answer->type == kHeaders && (answer->flags & kEndStream) != 0) ++refused;
    }
  }
  if (!testing::kSanitized) {
    EXPECT_LT(ResidentBytes(), before + kTolerance);
  }
}

// Nor may a caller have as much of health as connections and streams would let him, whether he follows it or asks once
// and does not read the answer; and somebody else is told what he asks for.
TEST_F(GreedyClientTest, FollowsHealthOverAndOver) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "only root can be others";
  constexpr uint32_t kStreams = 200;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (const auto& [method, places] : {std::pair("grpc.health.v1.Health/Watch", kMaxHealthWatchesPerCaller),
                                       std::pair("grpc.health.v1.Health/Check", kMaxHealthChecksPerCaller)}) {
    size_t served = places;  // of the first connection
    for (int i = 0; i < 3; ++i) {
      clients.push_back(StrangerThatReadsNothing());
      RawClient& client = *clients.back();
      std::string calls;
      for (uint32_t stream = 1; stream < 2 * kStreams; stream += 2) {
        calls += RawClient::FrameOf(kHeaders, kEndHeaders, stream, CallHeaders(method));
        calls += RawClient::FrameOf(kData, kEndStream, stream, Message(""));
      }
      ASSERT_TRUE(client.Send(calls));
      const size_t refusals = kStreams - std::exchange(served, 0);
      for (size_t refused = 0; refused < refusals;) {
        const std::optional<RawClient::Answer> answer = client.Next();
        ASSERT_TRUE(answer.has_value()) << method << " " << i << " after " << refused;
        if (answer->type == kHeaders && (answer->flags & kEndStream) != 0) ++refused;
      }
    }
  }
  const auto channel =
      grpc::CreateInsecureChannelFromFd("api", testing::ConnectAs(kViewer, daemon_->api_socket()).release());
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext watching, checking;
  testing::SetDeadline(watching);
  testing::SetDeadline(checking);
  grpc::health::v1::HealthCheckResponse response;
  const auto reader = stub->Watch(&watching, grpc::health::v1::HealthCheckRequest());
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  EXPECT_TRUE(stub->Check(&checking, grpc::health::v1::HealthCheckRequest(), &response).ok());
  watching.TryCancel();
  reader->Finish();
}

}  // namespace
}  // namespace kinsock
