// SPDX-License-Identifier: Apache-2.0
//
// What a client finds after kinsockd was stopped, or killed, and started again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Reason;

class RestartTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.Start()) << daemon_.errors(); }

  static bool Answers(const std::string& path) { return testing::TryConnect(testing::NewUnixSocket(), path); }

  void ExpectSame(const v1::Vm& before, const v1::Vm& after) {
    EXPECT_EQ(after.uid(), before.uid());
    EXPECT_EQ(after.etag(), before.etag());
    EXPECT_EQ(after.status().cid(), before.status().cid());
    v1::Vm a = before, b = after;
    // The version is of this start; the conditions began again with it.
    for (v1::Vm* vm : {&a, &b}) {
      vm->clear_resource_version();
      for (v1::Condition& condition : *vm->mutable_status()->mutable_conditions()) {
        condition.clear_last_transition_time();
      }
    }
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(a, b)) << a.DebugString() << b.DebugString();
  }

  // Files of the daemon can grow to so many bytes from here on: a full disk, as far as it can tell.
  void LimitFiles(rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  }

  testing::DaemonProcess daemon_;
};

TEST_F(RestartTest, AVmIsThereAgainAndListens) {
  v1::CreateVmRequest request;
  request.set_vm_id("web");
  (*request.mutable_vm()->mutable_labels())["tier"] = "web";
  (*request.mutable_vm()->mutable_annotations())["note"] = "hello";
  v1::VmSpec& spec = *request.mutable_vm()->mutable_spec();
  spec.mutable_uds()->set_path(daemon_ / "web.uds");
  spec.add_groups("blue");
  spec.mutable_readiness()->set_probe_guest_port(22);
  spec.mutable_socket_access()->set_mode(0600);
  spec.mutable_quota()->set_max_connections(10);
  spec.mutable_quota()->mutable_bytes_to_guest()->set_rate(1'000'000);
  v1::Vm made;
  ASSERT_TRUE(daemon_.Create(request, &made).ok());

  daemon_.Stop();
  EXPECT_FALSE(Answers(made.status().vhost_user_socket()));
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  ExpectSame(made, daemon_.Get("web"));
  EXPECT_TRUE(Answers(made.status().vhost_user_socket()));
  EXPECT_TRUE(Answers(made.status().uds_path()));

  // Stale sockets lie about after this.
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  ExpectSame(made, daemon_.Get("web"));
  EXPECT_TRUE(Answers(made.status().vhost_user_socket()));
  EXPECT_TRUE(Answers(made.status().uds_path()));
}

TEST_F(RestartTest, AnUpdateIsThereAgain) {
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  v1::UpdateVmRequest update;
  update.mutable_vm()->set_name("vms/web");
  (*update.mutable_vm()->mutable_labels())["tier"] = "db";
  update.mutable_update_mask()->add_paths("labels");
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::Vm updated;
  const grpc::Status status = daemon_.vms().UpdateVm(&context, update, &updated);
  ASSERT_TRUE(status.ok()) << status.error_message();
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  const v1::Vm after = daemon_.Get("web");
  EXPECT_EQ(after.generation(), 2);
  ExpectSame(updated, after);
}

TEST_F(RestartTest, ADeletedVmStaysDeletedAndItsCidRests) {
  ASSERT_TRUE(daemon_.Create("old", 42).ok());
  ASSERT_TRUE(daemon_.Delete("old").ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  EXPECT_TRUE(daemon_.List().empty());
  EXPECT_EQ(Reason(daemon_.Create("other", 42)), "CID_QUARANTINED");
  EXPECT_TRUE(daemon_.Create("old", 42).ok());
}

TEST_F(RestartTest, ARepeatedRequestIsNotCarriedOutAgain) {
  v1::CreateVmRequest request;
  request.set_vm_id("web");
  request.set_request_id("r-1");
  v1::Vm made, again;
  ASSERT_TRUE(daemon_.Create(request, &made).ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  ASSERT_TRUE(daemon_.Create(request, &again).ok());
  ExpectSame(made, again);

  // Also when the VM is gone by now; and the id is still that of this request alone.
  ASSERT_TRUE(daemon_.Delete("web").ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  ASSERT_TRUE(daemon_.Create(request, &again).ok());
  EXPECT_EQ(again.uid(), made.uid());
  EXPECT_EQ(again.status().cid(), made.status().cid());
  EXPECT_EQ(again.status().state(), v1::VmStatus::DELETING);
  EXPECT_TRUE(daemon_.List().empty());
  request.set_vm_id("other");
  EXPECT_EQ(Reason(daemon_.Create(request)), "REQUEST_ID_REUSED");
}

// Of networks, policies and CIDs, too: each request has one effect and one answer, before and after a crash.
TEST_F(RestartTest, ARepeatedRequestAboutANetworkIsNotCarriedOutAgain) {
  using Stub = v1::NetworkService::Stub;
  const auto ask = [this](auto method, const auto& request, auto& response) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    return (v1::NetworkService::NewStub(daemon_.channel()).get()->*method)(&context, request, &response);
  };
  v1::CreateNetworkRequest network;
  network.set_network_id("lab");
  network.set_request_id("r");
  v1::CreatePolicyRequest policy;
  policy.set_parent("networks/lab");
  policy.set_policy_id("closed");
  policy.set_request_id("r");
  v1::ReserveCidRequest reservation;
  reservation.set_parent("networks/lab");
  reservation.set_holder("who comes");
  reservation.set_request_id("r");
  v1::Network lab, lab_again;
  v1::Policy closed, closed_again;
  v1::CidLease lease, lease_again;
  ASSERT_TRUE(ask(&Stub::CreateNetwork, network, lab).ok());
  ASSERT_TRUE(ask(&Stub::CreatePolicy, policy, closed).ok());
  ASSERT_TRUE(ask(&Stub::ReserveCid, reservation, lease).ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  ASSERT_TRUE(ask(&Stub::CreateNetwork, network, lab_again).ok());
  ASSERT_TRUE(ask(&Stub::CreatePolicy, policy, closed_again).ok());
  ASSERT_TRUE(ask(&Stub::ReserveCid, reservation, lease_again).ok());
  EXPECT_EQ(lab_again.uid(), lab.uid());
  EXPECT_EQ(lab_again.policies(), 1u);
  EXPECT_EQ(closed_again.uid(), closed.uid());
  EXPECT_EQ(lease_again.cid(), lease.cid());
  EXPECT_EQ(lease_again.state(), v1::CidLease::RESERVED);

  // Also when they are gone by now.
  v1::ReleaseCidRequest release;
  release.set_name(lease.name());
  release.set_request_id("r");
  v1::DeleteNetworkRequest deletion;
  deletion.set_name("networks/lab");
  deletion.set_force(true);
  deletion.set_request_id("gone");
  google::protobuf::Empty nothing;
  ASSERT_TRUE(ask(&Stub::ReleaseCid, release, nothing).ok());
  ASSERT_TRUE(ask(&Stub::DeleteNetwork, deletion, lab_again).ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  EXPECT_TRUE(ask(&Stub::ReleaseCid, release, nothing).ok());
  ASSERT_TRUE(ask(&Stub::DeleteNetwork, deletion, lab_again).ok());
  EXPECT_EQ(lab_again.uid(), lab.uid());
  ASSERT_TRUE(ask(&Stub::CreatePolicy, policy, closed_again).ok());
  EXPECT_EQ(closed_again.uid(), closed.uid());
  network.set_network_id("other");
  EXPECT_EQ(Reason(ask(&Stub::CreateNetwork, network, lab_again)), "REQUEST_ID_REUSED");
}

TEST_F(RestartTest, AutomaticCidsGoOnWhereTheyWere) {
  v1::Vm first, second;
  ASSERT_TRUE(daemon_.Create("a", 0, &first).ok());
  ASSERT_TRUE(daemon_.Delete("a").ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  ASSERT_TRUE(daemon_.Create("b", 0, &second).ok());
  EXPECT_EQ(second.status().cid(), first.status().cid() + 1);
}

TEST_F(RestartTest, VmsOfTheCommandLineAreNotSaved) {
  daemon_.Stop();
  ASSERT_TRUE(daemon_.Start({"--vm", "name=flag,guest-cid=50,socket=" + daemon_ / "flag.sock"})) << daemon_.errors();
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  daemon_.Stop();
  ASSERT_TRUE(daemon_.Start());
  const std::map<std::string, v1::Vm> vms = daemon_.List();
  EXPECT_EQ(vms.count("flag"), 0u);
  EXPECT_EQ(vms.count("web"), 1u);
}

TEST_F(RestartTest, AVmWhoseDirectoryIsGoneIsKeptAsFailedAndServedWhenItIsBack) {
  ASSERT_EQ(mkdir((daemon_ / "sockets").c_str(), 0700), 0);
  v1::CreateVmRequest request;
  request.set_vm_id("web");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "sockets/web.uds");
  v1::Vm made;
  ASSERT_TRUE(daemon_.Create(request, &made).ok());
  ASSERT_TRUE(daemon_.Create("other", 43).ok());
  daemon_.Stop();
  ASSERT_EQ(rmdir((daemon_ / "sockets").c_str()), 0);

  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  const v1::Vm failed = daemon_.Get("web");
  EXPECT_EQ(failed.status().state(), v1::VmStatus::FAILED);
  EXPECT_EQ(failed.uid(), made.uid());
  EXPECT_EQ(failed.status().cid(), made.status().cid());
  ASSERT_GT(failed.status().conditions_size(), 0);
  EXPECT_EQ(failed.status().conditions(0).reason(), "NotServed");
  EXPECT_THAT(failed.status().conditions(0).message(), HasSubstr(daemon_ / "sockets"));
  EXPECT_THAT(daemon_.errors(), AllOf(HasSubstr("vm.not_restored"), HasSubstr("vms/web")));
  EXPECT_EQ(daemon_.Get("other").status().state(), v1::VmStatus::LISTENING);
  // Its CID and its name are still its own.
  EXPECT_EQ(Reason(daemon_.Create("thief", made.status().cid())), "CID_IN_USE");
  EXPECT_EQ(Reason(daemon_.Create("web")), "VM_EXISTS");

  daemon_.Stop();
  ASSERT_EQ(mkdir((daemon_ / "sockets").c_str(), 0700), 0);
  ASSERT_TRUE(daemon_.Start());
  ExpectSame(made, daemon_.Get("web"));
}

TEST_F(RestartTest, AFailedVmCanBeDeleted) {
  ASSERT_EQ(mkdir((daemon_ / "sockets").c_str(), 0700), 0);
  v1::CreateVmRequest request;
  request.set_vm_id("web");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "sockets/web.uds");
  ASSERT_TRUE(daemon_.Create(request).ok());
  daemon_.Stop();
  ASSERT_EQ(rmdir((daemon_ / "sockets").c_str()), 0);
  ASSERT_TRUE(daemon_.Start());
  ASSERT_EQ(daemon_.Get("web").status().state(), v1::VmStatus::FAILED);
  EXPECT_TRUE(daemon_.Delete("web").ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  EXPECT_TRUE(daemon_.List().empty());
}

TEST_F(RestartTest, TheConfigurationsCidIsTheConfigurationsAndTheVmIsKept) {
  v1::Vm made;
  ASSERT_TRUE(daemon_.Create("web", 42, &made).ok());
  daemon_.Stop();
  ASSERT_TRUE(daemon_.Start({"--vm", "name=flag,guest-cid=42,socket=" + daemon_ / "flag.sock"})) << daemon_.errors();
  const v1::Vm failed = daemon_.Get("web");
  EXPECT_EQ(failed.status().state(), v1::VmStatus::FAILED);
  EXPECT_THAT(failed.status().conditions(0).message(), HasSubstr("gives CID 42 to another VM"));
  EXPECT_EQ(daemon_.Get("flag").status().state(), v1::VmStatus::LISTENING);
  EXPECT_EQ(Reason(daemon_.Delete("flag")), "MANAGED_BY_FILE");
  EXPECT_EQ(Reason(daemon_.Create("thief", 42)), "CID_IN_USE");
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  ExpectSame(made, daemon_.Get("web"));
}

TEST_F(RestartTest, ANameThatTheConfigurationHasTooRefusesTheStart) {
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  daemon_.Stop();
  EXPECT_FALSE(daemon_.Start({"--vm", "name=web,guest-cid=43,socket=" + daemon_ / "flag.sock"}));
  EXPECT_THAT(daemon_.errors(), AllOf(HasSubstr("--vm 1"), HasSubstr("\"web\""), HasSubstr(daemon_.state_file())));
}

TEST_F(RestartTest, ASecondDaemonIsRefused) {
  testing::Process second(
      {"server/kinsockd", "--api", "unix:" + daemon_ / "other.sock", "--state-dir", daemon_ / "state"});
  ASSERT_TRUE(second.Wait(std::chrono::seconds(60)).has_value());
  EXPECT_THAT(second.Stderr(), AllOf(HasSubstr("another kinsockd"), HasSubstr("another state directory")));
}

TEST_F(RestartTest, ABrokenFileRefusesTheStartInWords) {
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  daemon_.Stop();
  ASSERT_EQ(truncate(daemon_.state_file().c_str(), 1000), 0);
  EXPECT_FALSE(daemon_.Start());
  EXPECT_THAT(daemon_.errors(), AllOf(HasSubstr(daemon_.state_file()), HasSubstr("move it"), HasSubstr("--state-dir")));
}

TEST_F(RestartTest, AFullDiskRefusesMutationsAndNothingElse) {
  v1::Vm before;
  ASSERT_TRUE(daemon_.Create("before", 41, &before).ok());
  LimitFiles(1);
  const grpc::Status refused = daemon_.Create("meanwhile", 42);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(refused), "STORE_FAILED");
  EXPECT_EQ(Reason(daemon_.Delete("before")), "STORE_FAILED");
  // What was refused has not been: neither is there anything of the one, nor is anything taken from the other.
  EXPECT_EQ(daemon_.List().size(), 1u);
  EXPECT_FALSE(Answers(daemon_ / "kinsock/vms/meanwhile/vhost.sock"));
  EXPECT_EQ(daemon_.Get("before").status().state(), v1::VmStatus::LISTENING);
  EXPECT_TRUE(Answers(before.status().vhost_user_socket()));

  const auto degraded = [this] {
    const v1::Vm vm = daemon_.Get("before");
    return *std::find_if(vm.status().conditions().begin(), vm.status().conditions().end(),
                         [](const v1::Condition& condition) { return condition.type() == "Degraded"; });
  };
  EXPECT_EQ(degraded().reason(), "StoreFailed");
  EXPECT_EQ(degraded().status(), v1::Condition::TRUE);

  LimitFiles(RLIM_INFINITY);
  EXPECT_TRUE(daemon_.Create("after", 42).ok()) << "nobody ever had its CID";
  // It can be written again, and is known to be soon.
  v1::WaitVmRequest well;
  well.set_name("vms/before");
  well.set_condition("Degraded");
  well.set_status(v1::Condition::FALSE);
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::Vm vm;
  EXPECT_TRUE(daemon_.vms().WaitVm(&context, well, &vm).ok());
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  const std::map<std::string, v1::Vm> vms = daemon_.List();
  EXPECT_EQ(vms.size(), 2u);
  EXPECT_EQ(vms.count("before"), 1u);
  EXPECT_EQ(vms.count("after"), 1u);
}

TEST_F(RestartTest, AReservationIsThereAgainWhenTheVmForItCouldNotBeMade) {
  const auto networks = v1::NetworkService::NewStub(daemon_.channel());
  v1::CidLease lease;
  {
    v1::ReserveCidRequest reserve;
    reserve.set_parent("networks/default");
    reserve.mutable_cid()->set_static_cid(44);
    reserve.set_holder("tests");
    grpc::ClientContext context;
    testing::SetDeadline(context);
    ASSERT_TRUE(networks->ReserveCid(&context, reserve, &lease).ok());
  }
  v1::CreateVmRequest create;
  create.set_vm_id("late");
  create.mutable_vm()->mutable_spec()->mutable_cid()->set_reservation(lease.name());
  LimitFiles(1);
  EXPECT_EQ(Reason(daemon_.Create(create)), "STORE_FAILED");
  v1::ListCidsRequest list;
  list.set_parent("networks/default");
  v1::ListCidsResponse cids;
  grpc::ClientContext context;
  testing::SetDeadline(context);
  ASSERT_TRUE(networks->ListCids(&context, list, &cids).ok());
  ASSERT_EQ(cids.cids_size(), 1);
  EXPECT_EQ(cids.cids(0).state(), v1::CidLease::RESERVED);
  EXPECT_EQ(cids.cids(0).holder(), "tests");

  LimitFiles(RLIM_INFINITY);
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  EXPECT_TRUE(daemon_.Create(create).ok());
  EXPECT_EQ(daemon_.Get("late").status().cid(), 44u);
}

}  // namespace
}  // namespace kinsock
