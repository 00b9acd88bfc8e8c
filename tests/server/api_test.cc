// SPDX-License-Identifier: Apache-2.0
//
// VmService, ConnectionService and AdminService as a client meets them: all of the daemon, a real UNIX socket, real
// reactors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/daemon/daemon.h"
#include "server/manager/vm_manager.h"
#include "server/model/resource_version.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::BadFields;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Info;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;
using ::testing::UnorderedElementsAre;

class ApiTest : public ::testing::Test {
 protected:
  static bool Answers(const std::string& path) { return testing::TryConnect(testing::NewUnixSocket(), path); }

  static std::vector<std::string> Fields(const grpc::Status& status) {
    std::vector<std::string> fields;
    const google::rpc::BadRequest bad = BadFields(status);
    for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
    return fields;
  }

  v1::CreateVmRequest Request(const std::string& id) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    return request;
  }

  RunningDaemon daemon_;
};

TEST_F(ApiTest, ACreatedVmListensOnBothSockets) {
  v1::CreateVmRequest request = Request("web");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "web.uds");
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create(request, &vm).ok());
  EXPECT_EQ(vm.name(), "vms/web");
  EXPECT_EQ(vm.generation(), 1);
  EXPECT_EQ(vm.status().state(), v1::VmStatus::LISTENING);
  EXPECT_EQ(vm.status().cid(), 1024u);
  EXPECT_EQ(vm.status().vhost_user_socket(), daemon_ / "kinsock/vms/web/vhost.sock");
  EXPECT_EQ(vm.status().uds_path(), daemon_ / "web.uds");
  EXPECT_TRUE(Answers(vm.status().vhost_user_socket()));
  EXPECT_TRUE(Answers(vm.status().uds_path()));

  v1::Vm same;
  ASSERT_TRUE(daemon_.Get("vms/web", &same).ok());
  EXPECT_EQ(same.uid(), vm.uid());
}

TEST_F(ApiTest, ADeletedVmLeavesNothing) {
  v1::CreateVmRequest request = Request("web");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "web.uds");
  v1::Vm made;
  ASSERT_TRUE(daemon_.Create(request, &made).ok());
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/web");
  v1::Vm last;
  ASSERT_TRUE(daemon_.Delete(deletion, &last).ok());
  EXPECT_EQ(last.uid(), made.uid());
  EXPECT_EQ(last.status().state(), v1::VmStatus::DELETING);
  EXPECT_NE(access((daemon_ / "web.uds").c_str(), F_OK), 0);
  EXPECT_NE(access((daemon_ / "kinsock/vms/web").c_str(), F_OK), 0);
  EXPECT_EQ(Reason(daemon_.Get("vms/web")), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create(request, &made).ok()) << "its name, paths and CID are its own again at once";
  EXPECT_NE(made.uid(), last.uid());
}

TEST_F(ApiTest, AllBadFieldsAreNamedAtOnce) {
  v1::CreateVmRequest request = Request("Web");
  v1::VmSpec& spec = *request.mutable_vm()->mutable_spec();
  spec.mutable_cid()->set_static_cid(2);
  spec.set_vhost_user_socket("/no/such/directory/x");
  spec.mutable_uds()->set_path(daemon_ / "../x");
  spec.set_queue_size(3);
  (*request.mutable_vm()->mutable_labels())["a b"] = "";
  const grpc::Status refused = daemon_.Create(request);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(refused), "FIELD_INVALID");
  EXPECT_THAT(Fields(refused), UnorderedElementsAre("vm_id", "vm.labels", "vm.spec.cid.static_cid", "vm.spec.uds.path",
                                                    "vm.spec.queue_size", "vm.spec.vhost_user_socket"));
}

TEST_F(ApiTest, WhatIsTakenIsNotTakenTwice) {
  v1::CreateVmRequest first = Request("a");
  first.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(42);
  first.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
  ASSERT_TRUE(daemon_.Create(first).ok());

  const grpc::Status same_name = daemon_.Create("a");
  EXPECT_EQ(same_name.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(same_name), "VM_EXISTS");

  const grpc::Status same_cid = daemon_.Create("b", 42);
  EXPECT_EQ(same_cid.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(same_cid), "CID_IN_USE");
  EXPECT_EQ(Info(same_cid).metadata().at("holder"), "vms/a");

  v1::CreateVmRequest same_path = Request("b");
  same_path.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
  EXPECT_EQ(Reason(daemon_.Create(same_path)), "SOCKET_PATH_BUSY");

  ASSERT_TRUE(daemon_.Delete("a").ok());
  const grpc::Status resting = daemon_.Create("b", 42);
  EXPECT_EQ(resting.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(resting), "CID_QUARANTINED");
  EXPECT_TRUE(daemon_.Create("a", 42).ok()) << "the same VM may come back";
}

TEST_F(ApiTest, ARefusedCreationLeavesNothing) {
  std::ofstream(daemon_ / "file") << "precious";
  v1::CreateVmRequest request = Request("a");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "file");
  const grpc::Status refused = daemon_.Create(request);
  EXPECT_THAT(Fields(refused), ElementsAre("vm.spec.uds.path"));
  EXPECT_NE(access((daemon_ / "kinsock/vms/a").c_str(), F_OK), 0);
  EXPECT_EQ(daemon_.Info().counts().vms(), 0u);
  EXPECT_EQ(daemon_.Info().counts().quarantined_cids(), 0u);
}

TEST_F(ApiTest, ASocketOfAnotherProcessIsLeftAlone) {
  const UniqueFd other = testing::ListenAt(daemon_ / "other");
  v1::CreateVmRequest request = Request("a");
  request.mutable_vm()->mutable_spec()->set_vhost_user_socket(daemon_ / "other");
  const grpc::Status refused = daemon_.Create(request);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(refused), "SOCKET_PATH_BUSY");
  EXPECT_TRUE(Answers(daemon_ / "other"));
}

TEST_F(ApiTest, AGuestCannotBeGivenAWayToTheApi) {
  v1::CreateVmRequest request = Request("a");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_.api_socket());
  EXPECT_EQ(Reason(daemon_.Create(request)), "SOCKET_PATH_BUSY");
}

TEST_F(ApiTest, ValidateOnlyMakesNothing) {
  v1::CreateVmRequest request = Request("a");
  request.set_validate_only(true);
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 1024u);
  EXPECT_EQ(vm.uid(), "");
  EXPECT_EQ(Reason(daemon_.Get("vms/a")), "VM_NOT_FOUND");

  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_validate_only(true);
  EXPECT_TRUE(daemon_.Delete(deletion).ok());
  EXPECT_TRUE(daemon_.Get("vms/a").ok());
}

TEST_F(ApiTest, ARepeatedRequestGivesTheFirstResult) {
  v1::CreateVmRequest request = Request("a");
  request.set_request_id("5f0c2f3e-6d5a-4a3c-9d3e-000000000001");
  v1::Vm first, second;
  ASSERT_TRUE(daemon_.Create(request, &first).ok());
  ASSERT_TRUE(daemon_.Create(request, &second).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(first, second));

  request.mutable_vm()->mutable_spec()->add_groups("other");
  const grpc::Status reused = daemon_.Create(request);
  EXPECT_EQ(reused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(reused), "REQUEST_ID_REUSED");
}

TEST_F(ApiTest, AFailedRequestMayBeTriedAgainUnderItsId) {
  v1::CreateVmRequest request = Request("a");
  request.set_request_id("r");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "later/a.uds");
  EXPECT_EQ(Reason(daemon_.Create(request)), "FIELD_INVALID");
  ASSERT_EQ(mkdir((daemon_ / "later").c_str(), 0700), 0);
  EXPECT_TRUE(daemon_.Create(request).ok());
}

TEST_F(ApiTest, DeletionsHavePreconditions) {
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create("a", 0, &vm).ok());
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_uid("not this one");
  const grpc::Status wrong_uid = daemon_.Delete(deletion);
  EXPECT_EQ(wrong_uid.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Reason(wrong_uid), "UID_MISMATCH");
  deletion.set_uid(vm.uid());
  deletion.set_etag("old");
  const grpc::Status wrong_etag = daemon_.Delete(deletion);
  EXPECT_EQ(Reason(wrong_etag), "ETAG_MISMATCH");
  EXPECT_EQ(Info(wrong_etag).metadata().at("current"), vm.etag());
  deletion.set_etag(vm.etag());
  EXPECT_TRUE(daemon_.Delete(deletion).ok());
}

TEST_F(ApiTest, AnAbsentVm) {
  const grpc::Status refused = daemon_.Delete("a");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(refused), "VM_NOT_FOUND");
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_allow_missing(true);
  EXPECT_TRUE(daemon_.Delete(deletion).ok());
  EXPECT_EQ(Reason(daemon_.Get("web")), "FIELD_INVALID") << "a name begins with vms/";
}

TEST_F(ApiTest, PagesShowEachVmOnce) {
  for (const char* id : {"c", "a", "e", "b", "d"}) ASSERT_TRUE(daemon_.Create(id).ok());
  v1::ListVmsRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  std::string version;
  do {
    v1::ListVmsResponse page;
    ASSERT_TRUE(daemon_.List(request, &page).ok());
    EXPECT_LE(page.vms_size(), 2);
    for (const v1::Vm& vm : page.vms()) names.push_back(vm.name());
    if (version.empty()) version = page.resource_version();
    EXPECT_EQ(page.resource_version(), version);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("vms/a", "vms/b", "vms/c", "vms/d", "vms/e"));
}

TEST_F(ApiTest, APageStaysBelowWhatClientsTake) {
  const std::string note(16'000, 'x');
  for (int i = 0; i < 210; ++i) {
    v1::CreateVmRequest request = Request(absl::StrCat("vm", i));
    (*request.mutable_vm()->mutable_annotations())["note"] = note;
    ASSERT_TRUE(daemon_.Create(request).ok());
  }
  v1::ListVmsRequest request;
  request.set_page_size(1000);
  int listed = 0;
  do {
    v1::ListVmsResponse page;
    const grpc::Status status = daemon_.List(request, &page);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_GT(page.vms_size(), 0);
    listed += page.vms_size();
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, 210);
}

TEST_F(ApiTest, PageTokensThatWereNeverGivenAreRefused) {
  v1::ListVmsRequest request;
  v1::ListVmsResponse page;
  request.set_page_token("garbage");
  request.set_page_size(-1);
  EXPECT_THAT(Fields(daemon_.List(request, &page)), ElementsAre("page_size", "page_token"));
  request.set_page_size(0);
  request.set_page_token(PageToken{{"otherlife", 3}, "a"}.ToString());
  const grpc::Status old = daemon_.List(request, &page);
  EXPECT_EQ(old.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(old), "RESOURCE_VERSION_EXPIRED");
}

TEST_F(ApiTest, InfoTellsWhatThereIs) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  ASSERT_TRUE(daemon_.Create("b").ok());
  ASSERT_TRUE(daemon_.Delete("b").ok());
  const v1::Info info = daemon_.Info();
  EXPECT_EQ(info.version(), "0.1.0");
  EXPECT_THAT(info.instance_id(), ::testing::SizeIs(36));
  EXPECT_THAT(info.features(), ::testing::Contains("vm.watch"));
  EXPECT_EQ(info.limits().vms(), VmManager::kMaxVms);
  EXPECT_EQ(info.counts().vms(), 1u);
  EXPECT_EQ(info.counts().quarantined_cids(), 1u);
  EXPECT_EQ(info.counts().api_connections(), 1u);
  EXPECT_EQ(info.counts().reactors(), 1u);
}

TEST_F(ApiTest, ConnectionsOfNobodyAreNone) {
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::ListConnectionsResponse page;
  ASSERT_TRUE(daemon_.connections().ListConnections(&context, v1::ListConnectionsRequest(), &page).ok());
  EXPECT_THAT(page.connections(), IsEmpty());
}

TEST_F(ApiTest, ASecondDaemonOnTheSameSocketIsRefused) {
  Config config;
  config.api_sockets = {daemon_.api_socket()};
  Daemon second(config);
  const absl::Status refused = second.Start();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("another kinsockd"));
  EXPECT_TRUE(Answers(daemon_.api_socket()));
}

TEST_F(ApiTest, StoppingRemovesEverySocketAndAnswersNoMore) {
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create("a", 0, &vm).ok());
  daemon_.Stop();
  EXPECT_NE(access(daemon_.api_socket().c_str(), F_OK), 0);
  EXPECT_NE(access((daemon_.api_socket() + ".lock").c_str(), F_OK), 0);
  EXPECT_NE(access(vm.status().vhost_user_socket().c_str(), F_OK), 0);
  EXPECT_EQ(daemon_.Get("vms/a").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(ConfiguredDaemonTest, ItsVmsAreThereWhenItHasStarted) {
  Config config;
  ConfiguredVm vm;
  vm.origin = "f.yaml:2:5";
  vm.creation.id = "vm-7";
  vm.creation.spec.cid = CidRequest::Fixed(7);
  config.vms.push_back(vm);
  RunningDaemon daemon(config);
  ASSERT_TRUE(daemon.started().ok()) << daemon.started();
  v1::Vm found;
  ASSERT_TRUE(daemon.Get("vms/vm-7", &found).ok());
  EXPECT_EQ(found.status().cid(), 7u);
  EXPECT_EQ(found.status().state(), v1::VmStatus::LISTENING);
}

TEST(ConfiguredDaemonTest, AVmThatCannotBeMadeIsNamedWithItsPlaceAndNothingIsLeft) {
  Config config;
  ConfiguredVm good, bad;
  good.origin = "f.yaml:2:5";
  good.creation.id = "good";
  bad.origin = "f.yaml:9:5";
  bad.creation.id = "bad";
  bad.creation.spec.vhost_user_socket = "/no/such/directory/x";
  config.vms = {good, bad};
  RunningDaemon daemon(config);
  EXPECT_THAT(std::string(daemon.started().message()),
              HasSubstr("f.yaml:9:5: socket: \"/no/such/directory/x\" lies in"));
  daemon.Stop();
  EXPECT_NE(access((daemon / "kinsock/vms/good").c_str(), F_OK), 0);
  EXPECT_NE(access(daemon.api_socket().c_str(), F_OK), 0);
}

}  // namespace
}  // namespace kinsock
