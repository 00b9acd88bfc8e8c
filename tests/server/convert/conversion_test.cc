// SPDX-License-Identifier: Apache-2.0
//
// Between the API's messages and the daemon's values: vm_conversion, connection_conversion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "google/protobuf/util/message_differencer.h"
#include "server/convert/connection_conversion.h"
#include "server/convert/vm_conversion.h"
#include "server/convert/vm_requests.h"
#include "server/manager/vm_lifecycle.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::SizeIs;

v1::CreateVmRequest FullRequest() {
  v1::CreateVmRequest request;
  request.set_vm_id("web-1");
  request.set_request_id("r1");
  v1::Vm& vm = *request.mutable_vm();
  (*vm.mutable_labels())["tier"] = "web";
  (*vm.mutable_annotations())["note"] = "x";
  vm.mutable_spec()->mutable_cid()->set_static_cid(42);
  vm.mutable_spec()->set_vhost_user_socket("/run/a.sock");
  vm.mutable_spec()->mutable_uds()->set_path("/run/a.uds");
  vm.mutable_spec()->add_groups("web");
  vm.mutable_spec()->set_queue_size(256);
  vm.mutable_spec()->set_tx_buffer_bytes(4096);
  return request;
}

TEST(VmConversionTest, ASpecComesBackAsItWasSent) {
  const v1::CreateVmRequest request = FullRequest();
  const absl::StatusOr<VmCreation> creation = ToVmCreation(request);
  ASSERT_TRUE(creation.ok()) << creation.status();
  auto definition = std::make_shared<VmDefinition>();
  definition->id = creation->id;
  definition->spec = creation->spec;
  definition->labels = creation->labels;
  definition->annotations = creation->annotations;
  VmSnapshot snapshot;
  snapshot.definition = definition;
  const v1::Vm back = ToProto(snapshot, "e");
  EXPECT_EQ(back.name(), "vms/web-1");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(back.spec(), request.vm().spec()));
  EXPECT_EQ(back.labels().at("tier"), "web");
  EXPECT_EQ(back.annotations().at("note"), "x");
  EXPECT_EQ(back.resource_version(), "") << "it was never made";
}

TEST(VmConversionTest, EachKindOfCid) {
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  EXPECT_EQ(ToVmCreation(request)->spec.cid, CidRequest::Automatic());
  v1::CidRequest& cid = *request.mutable_vm()->mutable_spec()->mutable_cid();
  cid.set_automatic(true);
  EXPECT_EQ(ToVmCreation(request)->spec.cid, CidRequest::Automatic());
  cid.mutable_range()->set_first(5);
  cid.mutable_range()->set_last(9);
  EXPECT_EQ(ToVmCreation(request)->spec.cid, CidRequest::Range(5, 9));
  cid.set_static_cid(0);
  EXPECT_EQ(ToVmCreation(request)->spec.cid, CidRequest::Fixed(0)) << "refused later, not taken for automatic";
}

TEST(VmConversionTest, AutomaticFalseIsSaidTogetherWithEverythingElse) {
  v1::CreateVmRequest request;
  request.set_vm_id("Bad Name");
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_automatic(false);
  EXPECT_THAT(ErrorFields(ToVmCreation(request).status()), SizeIs(2));
}

TEST(VmConversionTest, TheHashTellsRequestsApartButNotTheirIds) {
  const uint64_t hash = ToVmCreation(FullRequest())->request_hash;
  v1::CreateVmRequest other_id = FullRequest();
  other_id.set_request_id("r2");
  EXPECT_EQ(ToVmCreation(other_id)->request_hash, hash);
  v1::CreateVmRequest other_body = FullRequest();
  (*other_body.mutable_vm()->mutable_labels())["tier"] = "db";
  EXPECT_NE(ToVmCreation(other_body)->request_hash, hash);
}

TEST(VmConversionTest, AForwardedHostSide) {
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  v1::VsockProxy& proxy = *request.mutable_vm()->mutable_spec()->mutable_vsock_proxy();
  proxy.set_forward_cid(1);
  proxy.add_listen_ports(9001);
  proxy.add_listen_ports(9002);
  const absl::StatusOr<VmCreation> creation = ToVmCreation(request);
  ASSERT_TRUE(creation.ok());
  EXPECT_FALSE(creation->spec.has_uds);
  EXPECT_EQ(creation->spec.vsock_proxy, (VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}}));

  auto definition = std::make_shared<VmDefinition>();
  definition->spec = creation->spec;
  VmSnapshot snapshot;
  snapshot.definition = std::move(definition);
  const v1::VmSpec shown = ToProto(snapshot, "e").spec();
  EXPECT_FALSE(shown.has_uds());
  EXPECT_EQ(shown.vsock_proxy().DebugString(), proxy.DebugString());
}

TEST(VmConversionTest, Names) {
  EXPECT_EQ(*ToVmId("vms/web-1"), "web-1");
  for (const char* name : {"", "web-1", "vms/", "vms/A", "vms/a/b", "VMS/a"}) {
    EXPECT_EQ(ErrorReason(ToVmId(name).status()), "FIELD_INVALID") << name;
  }
}

TEST(VmConversionTest, EveryStateOfTheDaemonIsOneOfTheApi) {
  for (const VmState state : {VmState::kProvisioning, VmState::kListening, VmState::kConnected, VmState::kActive,
                              VmState::kSuspended, VmState::kDeleting}) {
    VmSnapshot snapshot;
    snapshot.definition = std::make_shared<VmDefinition>();
    BeginProvisioning(snapshot.status, WallTime());
    snapshot.status.state = state;
    EXPECT_EQ(v1::VmStatus::State_Name(ToProto(snapshot, "e").status().state()), VmStateName(state));
  }
}

TEST(VmConversionTest, TheFrontEndIsShownWhileThereIsOne) {
  VmSnapshot snapshot;
  snapshot.definition = std::make_shared<VmDefinition>();
  BeginProvisioning(snapshot.status, WallTime());
  DeviceStatus device;
  device.state = DeviceState::kActive;
  device.front_end = {.pid = 7,
                      .uid = 8,
                      .gid = 9,
                      .features = 1ull << 32,
                      .protocol_features = 5,
                      .memory_regions = 2,
                      .since = WallTime(std::chrono::milliseconds(1500))};
  ApplyDeviceStatus(snapshot.status, device, WallTime());
  const v1::FrontEnd front_end = ToProto(snapshot, "e").status().front_end();
  EXPECT_EQ(front_end.pid(), 7);
  EXPECT_EQ(front_end.uid(), 8);
  EXPECT_EQ(front_end.gid(), 9);
  EXPECT_EQ(front_end.features(), 1ull << 32);
  EXPECT_EQ(front_end.protocol_features(), 5u);
  EXPECT_EQ(front_end.memory_regions(), 2u);
  EXPECT_EQ(front_end.since().seconds(), 1);
  EXPECT_EQ(front_end.since().nanos(), 500'000'000);
}

VmSnapshotPtr VmAt(const std::string& id, const std::string& uds_path) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = id;
  auto vm = std::make_shared<VmSnapshot>();
  vm->definition = std::move(definition);
  vm->status.uds_path = uds_path;
  return vm;
}

TEST(ConnectionConversionTest, AProgramThatCalledAGuest) {
  FlowInfo flow;
  flow.id = 9;
  flow.state = FlowInfo::State::kEstablished;
  flow.initiator = {.device = 1, .cid = kHostCid, .port = 49152, .host_pid = 77, .host_uid = 1000};
  flow.target = {.device = 1, .cid = 42, .port = 22, .host_pid = 0, .host_uid = -1};
  flow.to_target.bytes = 100;
  flow.to_initiator.queued_bytes = 5;
  const VmSnapshotPtr vm = VmAt("a", "/run/a.uds");
  const v1::Connection connection = ToProto(flow, {vm, vm}, "inst");
  EXPECT_EQ(connection.name(), "connections/inst-9");
  EXPECT_EQ(connection.initiator().vm(), "");
  EXPECT_EQ(connection.initiator().host_path(), "/run/a.uds");
  EXPECT_EQ(connection.initiator().host_pid(), 77);
  EXPECT_EQ(connection.target().vm(), "vms/a");
  EXPECT_EQ(connection.target().host_path(), "");
  EXPECT_EQ(connection.type(), "STREAM");
  EXPECT_EQ(connection.state(), v1::Connection::ESTABLISHED);
  EXPECT_EQ(connection.to_target().bytes(), 100u);
  EXPECT_EQ(connection.to_initiator().queued_bytes(), 5u);
}

TEST(ConnectionConversionTest, AGuestThatCalledTheHost) {
  FlowInfo flow;
  flow.initiator = {.device = 1, .cid = 42, .port = 1024, .host_pid = 0, .host_uid = -1};
  flow.target = {.device = 1, .cid = kHostCid, .port = 80, .host_pid = 5, .host_uid = 0};
  const VmSnapshotPtr vm = VmAt("a", "/run/a.uds");
  EXPECT_EQ(ToProto(flow, {vm, vm}, "i").target().host_path(), "/run/a.uds_80");
}

TEST(ConnectionConversionTest, TheTypeIsNamed) {
  FlowInfo flow;
  EXPECT_EQ(ToProto(flow, {nullptr, nullptr}, "i").type(), "STREAM");
  flow.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  EXPECT_EQ(ToProto(flow, {nullptr, nullptr}, "i").type(), "SEQPACKET");
}

TEST(ConnectionConversionTest, AProgramOnAfVsock) {
  FlowInfo flow;
  flow.initiator.cid = kHostCid;
  flow.initiator.port = 49152;
  flow.initiator.host_cid = 1;
  flow.initiator.host_port = 2000;
  flow.target.cid = 42;
  const VmSnapshotPtr vm = VmAt("a", "");
  const v1::Endpoint program = ToProto(flow, {vm, vm}, "i").initiator();
  EXPECT_EQ(program.host_path(), "");
  EXPECT_EQ(program.host_pid(), 0);
  EXPECT_EQ(program.host_uid(), -1);
  EXPECT_EQ(program.host_cid(), 1u);
  EXPECT_EQ(program.host_port(), 2000u);
}

TEST(ConnectionConversionTest, AnEndWhoseVmIsGoneKeepsItsCid) {
  FlowInfo flow;
  flow.initiator.cid = 42;
  flow.target.cid = 43;
  const v1::Connection connection = ToProto(flow, {nullptr, nullptr}, "i");
  EXPECT_EQ(connection.initiator().vm(), "");
  EXPECT_EQ(connection.initiator().cid(), 42u);
}

TEST(ConnectionConversionTest, EveryReasonButNoneIsOneOfTheApi) {
  for (int i = 1; i <= static_cast<int>(CloseReason::kTransportReset); ++i) {
    FlowInfo flow;
    flow.close_reason = static_cast<CloseReason>(i);
    const v1::Connection connection = ToProto(flow, {nullptr, nullptr}, "i");
    EXPECT_EQ(v1::Connection::CloseReason_Name(connection.close_reason()), CloseReasonName(flow.close_reason));
  }
  EXPECT_EQ(ToProto(FlowInfo(), {nullptr, nullptr}, "i").close_reason(), v1::Connection::CLOSE_REASON_UNSPECIFIED);
}

}  // namespace
}  // namespace kinsock
