// SPDX-License-Identifier: Apache-2.0
//
// Clients of gRPC on real sockets, and what they do with what there is: read it, or not. The time is the test's.
#include "server/rpc/ring_watch.h"

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/api_server.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ring = WatchRing<std::string>;
using Watch = RingWatch<v1::Event, std::string>;

constexpr std::chrono::seconds kPatience{5};
// Only a watch that hangs meets it.
constexpr std::chrono::seconds kDeadline{60};

v1::Event Telling(const std::string& message) {
  v1::Event event;
  event.set_message(message);
  return event;
}

// Tells what is present, and then what comes into a ring.
class RingService final : public v1::AdminService::CallbackService {
 public:
  explicit RingService(EventLoop& main) : main_(main) {}

  // Main thread's: so many messages are present, each so large.
  void SetPresent(size_t messages, size_t bytes) {
    // What is present is there as long as a watch keeps it.
    present_ = std::make_shared<std::vector<std::string>>();
    for (size_t i = 0; i < messages; ++i) present_->push_back(absl::StrCat(i, std::string(bytes, 'x')));
  }
  bool IsKept() const { return present_.use_count() > 1; }
  size_t told() const { return told_; }
  Ring& ring() { return ring_; }

  grpc::ServerWriteReactor<v1::Event>* WatchEvents(grpc::CallbackServerContext*,
                                                   const v1::WatchRequest* request) override {
    const Watch::Source source{.ring = &ring_,
                               .convert = [](const std::string& item) { return Telling(item); },
                               .synced = [] { return Telling("synced"); },
                               .bookmark = [] { return Telling("bookmark"); },
                               .prepare = [this](const auto& ready) { ready(Present()); }};
    return Watch::Start(main_, source, *request, WatchQuota::Ticket(), kPatience);
  }

 private:
  Watch::Present Present() {
    return [this, kept = present_](size_t max) {
      std::vector<v1::Event> some;
      for (; some.size() < max && told_ < kept->size(); ++told_) some.push_back(Telling((*kept)[told_]));
      return some;
    };
  }

  EventLoop& main_;
  Ring ring_{"e", {.items = 100, .max_lag = 100, .max_subscribers = 1}};
  std::shared_ptr<std::vector<std::string>> present_;
  size_t told_ = 0;
};

class RingWatchTest : public ::testing::Test {
 protected:
  RingWatchTest() : api_(*ApiServer::Start({&service_}, metrics_)) {
    context_.set_deadline(std::chrono::system_clock::now() + kDeadline);
  }
  ~RingWatchTest() override {
    context_.TryCancel();
    if (stream_ != nullptr) End();
    // gRPC waits for calls that end on the main thread, which is this one.
    bool down = false;
    std::thread waiter([&] {
      api_->Shutdown(std::chrono::milliseconds(100));
      main_.Post([&] { down = true; });
    });
    RunUntil([&] { return down; });
    waiter.join();
  }

  void Begin() {
    int ends[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    api_->Serve(UniqueFd(ends[0]));
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // what it has not read is 64 KiB at most
    const auto channel = grpc::CreateCustomInsecureChannelFromFd("client", ends[1], arguments);
    stream_ = v1::AdminService::NewStub(channel)->WatchEvents(&context_, v1::WatchRequest());
  }

  // The client reads, on a thread of its own, while main goes round: up to the message `last`, or to the end.
  std::vector<std::string> Read(const std::string& last = "") {
    std::future<std::vector<std::string>> reading = std::async(std::launch::async, [this, &last] {
      std::vector<std::string> messages;
      v1::Event event;
      while ((messages.empty() || messages.back() != last) && stream_->Read(&event)) {
        messages.push_back(event.message());
      }
      return messages;
    });
    RunUntil([&] { return reading.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    return reading.get();
  }

  grpc::Status End() { return std::exchange(stream_, nullptr)->Finish(); }

  template <typename Done>
  void RunUntil(const Done& done) {
    while (!done()) main_.RunOnce(std::chrono::milliseconds(10));
  }
  void RunUntilIdle() {
    while (main_.RunOnce()) {
    }
  }

  testing::SimulatedClock clock_;
  EventLoop main_{clock_};
  RingService service_{main_};
  ApiMetrics metrics_;
  std::unique_ptr<ApiServer> api_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::Event>> stream_;
};

TEST_F(RingWatchTest, WhoDoesNotReadWhatThereIsIsLetGoWhenPatienceEnds) {
  constexpr size_t kMessages = 1000;
  service_.SetPresent(kMessages, 100'000);
  ASSERT_NO_FATAL_FAILURE(Begin());
  RunUntil([&] { return service_.told() > 0; });
  const size_t told = service_.told();

  clock_.Advance(kPatience - std::chrono::nanoseconds(1));
  RunUntilIdle();
  EXPECT_TRUE(service_.IsKept()) << "it might still read";
  EXPECT_EQ(service_.ring().subscribers(), 1u);
  EXPECT_EQ(service_.told(), told) << "the first batch is more than the way to it holds";

  clock_.Advance(std::chrono::nanoseconds(1));
  RunUntil([&] { return !service_.IsKept(); });
  EXPECT_EQ(service_.ring().subscribers(), 0u) << "another has its place";

  // When it reads after all, it learns why.
  EXPECT_LT(Read().size(), told);
  const grpc::Status status = End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_details(), HasSubstr("WATCH_LAGGED"));
  EXPECT_THAT(status.error_message(), HasSubstr("was not read within 5s"));
}

TEST_F(RingWatchTest, WhoReadsItIsToldWhatComesAfterForAsLongAsHeLikes) {
  service_.SetPresent(3, 0);
  ASSERT_NO_FATAL_FAILURE(Begin());
  EXPECT_THAT(Read("synced"), ElementsAre("0", "1", "2", "synced"));
  EXPECT_FALSE(service_.IsKept());
  clock_.Advance(2 * kPatience);
  RunUntilIdle();
  service_.ring().Append("later");
  EXPECT_THAT(Read("later"), ElementsAre("later"));
}

}  // namespace
}  // namespace kinsock
