// SPDX-License-Identifier: Apache-2.0
//
// How clients of the API meet the daemon's stop: all of the daemon, as SIGTERM stops it. The order on the wire is in
// api_server_test.
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/rpc/api_server.h"
#include "tests/server/raw_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::RawClient;
using testing::RunningDaemon;

// Clients that do not wait inside gRPC do not answer it. What must not wait for them takes less than half of the grace
// at least once in a few times, also on a busy machine.
constexpr int kTimes = 3;
constexpr std::chrono::nanoseconds kQuick = ApiServer::kGrace / 2;

std::chrono::nanoseconds TimeToStop(RunningDaemon& daemon) {
  const auto begin = std::chrono::steady_clock::now();
  daemon.Stop();
  return std::chrono::steady_clock::now() - begin;
}

// A client with a connection of its own that makes one call and goes when it is over.
class Client {
 public:
  // Follows a stream; from when it has said something on.
  template <typename Stub, typename Request, typename Response>
  Client(std::unique_ptr<Stub> stub,
         std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(grpc::ClientContext*, const Request&),
         const Request& request) {
    std::promise<void> begun;
    const std::future<void> has_begun = begun.get_future();
    end_ =
        std::async(std::launch::async, [stub = std::move(stub), method, request, begun = std::move(begun)]() mutable {
          grpc::ClientContext context;
          testing::SetDeadline(context);
          const auto stream = ((*stub).*method)(&context, request);
          Response response;
          EXPECT_TRUE(stream->Read(&response));
          begun.set_value();
          while (stream->Read(&response)) {
          }
          const grpc::Status status = stream->Finish();
          stub.reset();
          return status;
        });
    has_begun.wait();
  }

  // Waits for a VM.
  Client(std::unique_ptr<v1::VmService::Stub> stub, const v1::WaitVmRequest& request) {
    end_ = std::async(std::launch::async, [stub = std::move(stub), request]() mutable {
      grpc::ClientContext context;
      testing::SetDeadline(context);
      v1::Vm vm;
      const grpc::Status status = stub->WaitVm(&context, request, &vm);
      stub.reset();
      return status;
    });
  }

  grpc::Status End() { return end_.get(); }

 private:
  std::future<grpc::Status> end_;
};

void ExpectSentAway(Client& client, const char* what) {
  const grpc::Status status = client.End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << what;
  EXPECT_EQ(testing::Reason(status), "SHUTTING_DOWN") << what << ": " << status.error_message();
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("try again")) << what;
}

TEST(StopTest, ClientsThatAreIdleDoNotHoldItUp) {
  std::chrono::nanoseconds best = std::chrono::hours(1);
  for (int i = 0; i < kTimes && best >= kQuick; ++i) {
    RunningDaemon daemon;
    ASSERT_TRUE(daemon.started().ok());
    ASSERT_NE(daemon.Info().instance_id(), "") << "a client of gRPC that is connected";
    RawClient deaf(testing::ConnectTo(daemon.api_socket()));
    ASSERT_TRUE(deaf.Served());
    best = std::min(best, TimeToStop(daemon));
    EXPECT_TRUE(deaf.HungUp());
  }
  EXPECT_LT(best, kQuick);
}

TEST(StopTest, EverybodyWhoWaitsIsToldWhyAndWhatToDo) {
  std::chrono::nanoseconds best = std::chrono::hours(1);
  for (int i = 0; i < kTimes && best >= kQuick; ++i) {
    RunningDaemon daemon;
    ASSERT_TRUE(daemon.started().ok());
    ASSERT_TRUE(daemon.Create("a").ok());
    RawClient deaf(testing::ConnectTo(daemon.api_socket()));
    ASSERT_TRUE(deaf.Served());
    const auto vms = [&] { return v1::VmService::NewStub(daemon.NewChannel()); };
    const auto connections = [&] { return v1::ConnectionService::NewStub(daemon.NewChannel()); };

    v1::WaitVmRequest until_active;
    until_active.set_name("vms/a");
    until_active.set_state(v1::VmStatus::ACTIVE);
    Client wait(vms(), until_active);
    while (daemon.Info().counts().watches() == 0) std::this_thread::yield();
    v1::StreamStatsRequest of_the_daemon;
    of_the_daemon.set_scope(v1::GetStatsRequest::DAEMON);
    Client vm_watch(vms(), &v1::VmService::Stub::WatchVms, v1::WatchRequest());
    Client connection_watch(connections(), &v1::ConnectionService::Stub::WatchConnections,
                            v1::WatchConnectionsRequest());
    Client stats(connections(), &v1::ConnectionService::Stub::StreamStats, of_the_daemon);
    Client capture(connections(), &v1::ConnectionService::Stub::Capture, v1::CaptureRequest());
    Client event_watch(v1::AdminService::NewStub(daemon.NewChannel()), &v1::AdminService::Stub::WatchEvents,
                       v1::WatchRequest());

    best = std::min(best, TimeToStop(daemon));
    ExpectSentAway(wait, "WaitVm");
    ExpectSentAway(vm_watch, "WatchVms");
    ExpectSentAway(connection_watch, "WatchConnections");
    ExpectSentAway(stats, "StreamStats");
    ExpectSentAway(capture, "Capture");
    ExpectSentAway(event_watch, "WatchEvents");
  }
  EXPECT_LT(best, kQuick);
}

}  // namespace
}  // namespace kinsock
