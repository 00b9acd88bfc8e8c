// SPDX-License-Identifier: Apache-2.0
//
// WatchVms as clients meet it, and the states that a VM goes through with a simulated guest.
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/api_server.h"
#include "server/service/vm_service.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using testing::Reason;
using testing::RunningDaemon;

// A client's watch.
class Watch {
 public:
  explicit Watch(v1::VmService::Stub& stub, const std::string& version = "", int bookmark_seconds = 0) {
    testing::SetDeadline(context_);
    v1::WatchRequest request;
    request.set_resource_version(version);
    if (bookmark_seconds != 0) request.mutable_bookmark_interval()->set_seconds(bookmark_seconds);
    stream_ = stub.WatchVms(&context_, request);
  }
  ~Watch() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  // The next thing: "ADDED a LISTENING", "SYNCED"; "end" when there is none.
  std::string Next() {
    if (!stream_->Read(&last_)) return "end";
    std::string text = v1::WatchVmsResponse::Type_Name(last_.type());
    if (!last_.has_vm()) return text;
    return absl::StrCat(text, " ", last_.vm().name().substr(4), " ",
                        v1::VmStatus::State_Name(last_.vm().status().state()));
  }

  // Reads until `wanted` comes. False: the watch ended before.
  bool Await(const std::string& wanted) { return AwaitEither(wanted, wanted); }
  bool AwaitEither(const std::string& one, const std::string& other) {
    for (std::string next = Next(); next != "end"; next = Next()) {
      if (next == one || next == other) return true;
    }
    return false;
  }

  const v1::WatchVmsResponse& last() const { return last_; }

  grpc::Status End() {
    finished_ = true;
    while (stream_->Read(&last_)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchVmsResponse>> stream_;
  v1::WatchVmsResponse last_;
  bool finished_ = false;
};

class WatchTest : public ::testing::Test {
 protected:
  RunningDaemon daemon_;
};

TEST_F(WatchTest, FirstWhatIsThereThenWhatHappens) {
  ASSERT_TRUE(daemon_.Create("b").ok());
  ASSERT_TRUE(daemon_.Create("a").ok());
  Watch watch(daemon_.vms());
  EXPECT_EQ(watch.Next(), "ADDED a LISTENING");
  EXPECT_EQ(watch.last().resource_version(), "") << "resuming in the middle of the list would miss the rest";
  EXPECT_EQ(watch.Next(), "ADDED b LISTENING");
  EXPECT_EQ(watch.Next(), "SYNCED");
  EXPECT_NE(watch.last().resource_version(), "");

  ASSERT_TRUE(daemon_.Create("c").ok());
  // A slow reader may miss PROVISIONING, not what came of it.
  EXPECT_TRUE(watch.AwaitEither("MODIFIED c LISTENING", "ADDED c LISTENING"));
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_TRUE(watch.Await("DELETED a DELETING"));
}

TEST_F(WatchTest, AResumedWatchMissesNothing) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  std::string version;
  {
    Watch watch(daemon_.vms());
    ASSERT_TRUE(watch.Await("SYNCED"));
    version = watch.last().resource_version();
  }
  ASSERT_TRUE(daemon_.Delete("a").ok());
  ASSERT_TRUE(daemon_.Create("b").ok());
  Watch watch(daemon_.vms(), version);
  EXPECT_EQ(watch.Next(), "DELETED a DELETING");
  EXPECT_EQ(watch.Next(), "ADDED b LISTENING");
}

TEST_F(WatchTest, AListAndAWatchFromItsVersionSeeEverythingOnce) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::ListVmsResponse list;
  ASSERT_TRUE(daemon_.List(v1::ListVmsRequest(), &list).ok());
  ASSERT_TRUE(daemon_.Create("b").ok());
  Watch watch(daemon_.vms(), list.resource_version());
  EXPECT_EQ(watch.Next(), "ADDED b LISTENING");
}

TEST_F(WatchTest, VersionsThatMeanNothingAreRefused) {
  const grpc::Status old = Watch(daemon_.vms(), "deadbeef.5").End();
  EXPECT_EQ(old.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(old), "RESOURCE_VERSION_EXPIRED");
  EXPECT_EQ(Reason(Watch(daemon_.vms(), "garbage").End()), "FIELD_INVALID");
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::ListVmsResponse list;
  ASSERT_TRUE(daemon_.List(v1::ListVmsRequest(), &list).ok());
  EXPECT_EQ(Reason(Watch(daemon_.vms(), list.resource_version() + "000").End()), "FIELD_INVALID") << "of the future";
  EXPECT_EQ(Reason(Watch(daemon_.vms(), "", 100'000).End()), "FIELD_INVALID") << "bookmark_interval";
}

TEST_F(WatchTest, AQuietWatchGetsBookmarks) {
  Watch watch(daemon_.vms(), "", 1);
  EXPECT_EQ(watch.Next(), "SYNCED");
  EXPECT_EQ(watch.Next(), "BOOKMARK");
  EXPECT_NE(watch.last().resource_version(), "");
}

TEST_F(WatchTest, AWatchThatIsGivenUpCostsNothing) {
  for (int i = 0; i < 50; ++i) {
    Watch watch(daemon_.vms());
    ASSERT_EQ(watch.Next(), "SYNCED");
  }
  // The last ones may still be on their way out.
  while (daemon_.Info().counts().watches() != 0) std::this_thread::yield();
}

TEST_F(WatchTest, StoppingTheDaemonEndsWatchesWithAReason) {
  Watch watch(daemon_.vms());
  ASSERT_EQ(watch.Next(), "SYNCED");
  daemon_.Stop();
  const grpc::Status end = watch.End();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(end), "SHUTTING_DOWN");
}

// ---- With a guest.

class GuestTest : public WatchTest {
 protected:
  GuestTest() {
    EXPECT_TRUE(daemon_.Create("a", 3, &a_).ok());
    EXPECT_TRUE(daemon_.Create("b", 4, &b_).ok());
  }

  // Runs the guests until the VM is in `state`.
  bool AwaitState(const std::string& name, v1::VmStatus::State state) {
    return stage_.RunUntil([&] {
      v1::Vm vm;
      return daemon_.Get(name, &vm).ok() && vm.status().state() == state;
    });
  }

  std::vector<v1::Connection> Connections() {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListConnectionsResponse page;
    EXPECT_TRUE(daemon_.connections().ListConnections(&context, v1::ListConnectionsRequest(), &page).ok());
    return {page.connections().begin(), page.connections().end()};
  }

  v1::Vm a_, b_;
  testing::Stage stage_;
};

TEST_F(GuestTest, AVmGoesThroughItsStatesAndBack) {
  Watch watch(daemon_.vms());
  ASSERT_TRUE(watch.Await("SYNCED"));
  testing::SimulatedGuest guest(stage_);
  ASSERT_TRUE(guest.PowerOn(a_.status().vhost_user_socket()).ok());
  EXPECT_EQ(guest.cid(), 3u);
  EXPECT_TRUE(AwaitState("vms/a", v1::VmStatus::ACTIVE));
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Get("vms/a", &vm).ok());
  EXPECT_EQ(vm.status().front_end().pid(), getpid());
  EXPECT_EQ(vm.status().front_end().uid(), getuid());
  EXPECT_GT(vm.status().front_end().memory_regions(), 0u);
  EXPECT_NE(vm.status().front_end().features(), 0u);
  EXPECT_EQ(vm.generation(), 1) << "a change of status is not one of the spec";
  EXPECT_EQ(vm.etag(), a_.etag());
  EXPECT_NE(vm.resource_version(), a_.resource_version());
  EXPECT_EQ(vm.status().conditions(1).type(), "DriverReady");
  EXPECT_EQ(vm.status().conditions(1).status(), v1::Condition::TRUE);

  ASSERT_TRUE(guest.Suspend().ok());
  EXPECT_TRUE(AwaitState("vms/a", v1::VmStatus::SUSPENDED));
  ASSERT_TRUE(guest.Resume().ok());
  EXPECT_TRUE(AwaitState("vms/a", v1::VmStatus::ACTIVE));
  guest.Kill();
  EXPECT_TRUE(AwaitState("vms/a", v1::VmStatus::LISTENING));
  EXPECT_TRUE(watch.Await("MODIFIED a ACTIVE"));
  EXPECT_TRUE(watch.Await("MODIFIED a LISTENING"));
}

TEST_F(GuestTest, AnAttachedVmIsDeletedByForceOnly) {
  testing::SimulatedGuest guest(stage_);
  ASSERT_TRUE(guest.PowerOn(a_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(AwaitState("vms/a", v1::VmStatus::ACTIVE));
  const grpc::Status refused = daemon_.Delete("a");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(refused), "VM_ATTACHED");
  EXPECT_EQ(testing::Info(refused).metadata().at("pid"), std::to_string(getpid()));
  EXPECT_TRUE(daemon_.Delete("a", true).ok());
  EXPECT_EQ(Reason(daemon_.Get("vms/a")), "VM_NOT_FOUND");
}

TEST_F(GuestTest, AConnectionBetweenSiblingsIsListed) {
  testing::SimulatedGuest asker(stage_), teller(stage_);
  ASSERT_TRUE(asker.PowerOn(a_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(teller.PowerOn(b_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(AwaitState("vms/a", v1::VmStatus::ACTIVE));
  ASSERT_TRUE(AwaitState("vms/b", v1::VmStatus::ACTIVE));
  testing::Stream question = asker.Connect(4, 80);
  testing::Stream answer = teller.Accept(80);
  question.Send("who is there?");
  ASSERT_TRUE(stage_.RunUntil([&] { return answer.Received() == "who is there?"; }));

  const std::vector<v1::Connection> connections = Connections();
  ASSERT_EQ(connections.size(), 1u);
  const v1::Connection& connection = connections[0];
  EXPECT_THAT(connection.name(), ::testing::StartsWith("connections/"));
  EXPECT_EQ(connection.initiator().vm(), "vms/a");
  EXPECT_EQ(connection.initiator().cid(), 3u);
  EXPECT_EQ(connection.target().vm(), "vms/b");
  EXPECT_EQ(connection.target().port(), 80u);
  EXPECT_EQ(connection.state(), v1::Connection::ESTABLISHED);
  EXPECT_EQ(connection.to_target().bytes(), 13u);
  EXPECT_EQ(daemon_.Info().counts().active_vms(), 2u);

  // The sibling is deleted: its peer is told, and the connection is gone.
  ASSERT_TRUE(daemon_.Delete("b", true).ok());
  EXPECT_TRUE(stage_.RunUntil([&] { return question.was_reset(); }));
  EXPECT_TRUE(stage_.RunUntil([&] { return Connections().empty(); }));
}

TEST_F(GuestTest, ConnectionsComeInPages) {
  testing::SimulatedGuest asker(stage_), teller(stage_);
  ASSERT_TRUE(asker.PowerOn(a_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(teller.PowerOn(b_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(AwaitState("vms/a", v1::VmStatus::ACTIVE));
  ASSERT_TRUE(AwaitState("vms/b", v1::VmStatus::ACTIVE));
  teller.Listen(80);
  std::vector<testing::Stream> streams;
  for (int i = 0; i < 7; ++i) streams.push_back(asker.Connect(4, 80));
  ASSERT_TRUE(stage_.RunUntil([&] { return streams.back().established(); }));
  std::vector<std::string> names;
  v1::ListConnectionsRequest request;
  request.set_page_size(3);
  do {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListConnectionsResponse page;
    ASSERT_TRUE(daemon_.connections().ListConnections(&context, request, &page).ok());
    for (const v1::Connection& connection : page.connections()) names.push_back(connection.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names.size(), 7u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 7u);
}

// ---- A reader that does not read. Its bounds are made small, so that the test is, too.

class SlowReaderTest : public ::testing::Test {
 protected:
  static EventHub::Limits Small() {
    EventHub::Limits limits;
    limits.max_lag = 500;
    limits.max_subscribers = 3;
    return limits;
  }

  SlowReaderTest() : hub_("e", Small()), pool_(main_, ReactorPool::Options(), [](DeviceId, const DeviceStatus&) {}) {
    manager_ = std::make_unique<VmManager>(main_, Clock::Monotonic(), pool_, networks_, hub_, sockets_, no_journal_,
                                           dir_.path());
    service_ = std::make_unique<VmService>(main_, *manager_, hub_, access_, audit_);
    api_ = *ApiServer::Start({service_.get()}, metrics_);
  }

  ~SlowReaderTest() override {
    // gRPC waits for calls that end on the main thread, which is this one.
    bool down = false;
    std::thread waiter([&] {
      api_->Shutdown(std::chrono::milliseconds(100));
      main_.Post([&] { down = true; });
    });
    while (!down) main_.RunOnce(std::chrono::milliseconds(100));
    waiter.join();
  }

  std::unique_ptr<v1::VmService::Stub> Connect() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    EXPECT_TRUE(connections_.Add(ends[0], {.role = Role::kViewer, .uid = geteuid()}));
    api_->Serve(UniqueFd(ends[0]));
    return v1::VmService::NewStub(grpc::CreateInsecureChannelFromFd("client", ends[1]));
  }

  // A VM comes into the world, large enough that no buffer on the way holds many of them.
  void Happens(int i) {
    auto definition = std::make_shared<VmDefinition>();
    definition->id = definition->uid = absl::StrCat("vm", i);
    definition->annotations["note"] = std::string(16'000, 'x');
    auto vm = std::make_shared<VmSnapshot>();
    vm->definition = std::move(definition);
    vm->version = hub_.next_version();
    hub_.Publish({VmEvent::Type::kAdded, std::move(vm)});
  }

  template <typename Done>
  void RunUntil(Done done) {
    while (!done()) main_.RunOnce(std::chrono::milliseconds(10));
  }

  testing::TempDir dir_;
  EventLoop main_;
  EventHub hub_;
  SocketRegistry sockets_;
  NoJournal no_journal_;
  ReactorPool pool_;
  NetworkManager networks_{main_, Clock::Monotonic(), pool_, no_journal_};
  ApiConnections connections_{Clock::Monotonic(), {}};
  RoleRules rules_;
  Access access_{connections_, rules_};
  EventLog events_{main_};
  Audit audit_{main_, events_, access_};
  std::unique_ptr<VmManager> manager_;
  std::unique_ptr<VmService> service_;
  ApiMetrics metrics_;
  std::unique_ptr<ApiServer> api_;
};

TEST_F(SlowReaderTest, IsLetGoAndMayResume) {
  const auto client = Connect();
  Watch watch(*client);
  RunUntil([&] { return hub_.subscribers() == 1; });
  // It does not read. What the sockets hold is soon full; the rest waits in the hub, until that is too much.
  for (int i = 0; hub_.subscribers() == 1; ++i) {
    ASSERT_LT(i, 5000);
    Happens(i);
    main_.RunOnce();
  }
  // Its place is free at once; it learns why when it reads again.
  auto end = std::async(std::launch::async, [&] { return watch.End(); });
  RunUntil([&] { return end.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  const grpc::Status status = end.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "WATCH_LAGGED");
}

TEST_F(SlowReaderTest, ThereIsAnEndToWatches) {
  const auto client = Connect();
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 3; ++i) watches.push_back(std::make_unique<Watch>(*client));
  RunUntil([&] { return hub_.subscribers() == 3; });
  auto refused = std::async(std::launch::async, [&] { return Watch(*client).End(); });
  RunUntil([&] { return refused.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  EXPECT_EQ(Reason(refused.get()), "QUOTA_EXCEEDED");
}

}  // namespace
}  // namespace kinsock
