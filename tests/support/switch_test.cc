// SPDX-License-Identifier: Apache-2.0
#include "tests/support/switch_test.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "tests/support/sanitizers.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

}  // namespace

size_t OpenDescriptors() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    count += entry.exists() || entry.is_symlink() ? 1 : 0;
  }
  return count;
}

size_t Mappings() {
  if (kThreadSanitizer) return 0;
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

SwitchTest::SwitchTest(size_t reactors, const Clock& clock)
    : descriptors_before_(OpenDescriptors()), backend_(std::make_unique<PoolBackend>(reactors, clock)) {
  stage_.Enter(*backend_);
  stage_.set_settle([this] { backend_->Settle(); });
}

SwitchTest::~SwitchTest() = default;

void SwitchTest::TearDown() {
  for (const auto& guest : guests_) {
    std::string where;
    EXPECT_TRUE(guest->machine().memory().CanariesIntact(&where)) << where;
    const bool ignored = std::find(ignored_.begin(), ignored_.end(), guest.get()) != ignored_.end();
    if (!ignored) EXPECT_THAT(guest->violations().list(), IsEmpty()) << "guest " << guest->cid();
  }
  guests_.clear();
  stage_.Leave(*backend_);
  stage_.set_settle(nullptr);
  backend_.reset();
  EXPECT_LE(OpenDescriptors(), descriptors_before_) << "descriptors were leaked";
}

const Backend::Vm& SwitchTest::AddVm(Cid cid, Backend::VmOptions options) {
  absl::StatusOr<Backend::Vm> vm = backend_->AddVm(cid, options);
  EXPECT_TRUE(vm.ok()) << vm.status();
  vms_[cid] = *vm;
  return vms_[cid];
}

void SwitchTest::RemoveVm(Cid cid) {
  backend_->RemoveVm(vm(cid));
  vms_.erase(cid);
}

SimulatedGuest& SwitchTest::NewGuest(GuestOptions options) {
  guests_.push_back(std::make_unique<SimulatedGuest>(stage_, std::move(options)));
  return *guests_.back();
}

SimulatedGuest& SwitchTest::Boot(Cid cid, GuestOptions options, Backend::VmOptions vm_options) {
  const Backend::Vm& vm = AddVm(cid, std::move(vm_options));
  SimulatedGuest& guest = NewGuest(std::move(options));
  const absl::Status status = guest.PowerOn(vm.vhost_user_socket);
  EXPECT_TRUE(status.ok()) << "guest " << cid << ": " << status;
  EXPECT_EQ(guest.cid(), cid);
  AwaitState(cid, DeviceState::kActive);
  return guest;
}

void SwitchTest::AwaitState(Cid cid, DeviceState state) {
  RunUntil([&] { return backend_->Status(vm(cid)).state == state; });
}

SwitchTest::Pair SwitchTest::Connect(SimulatedGuest& from, SimulatedGuest& to, Port port, uint16_t type) {
  to.Listen(port, type);
  const Stream client = from.Connect(to.cid(), port, type);
  const Stream server = to.Accept(port);
  RunUntil([&] { return !client.connecting(); });
  EXPECT_TRUE(client.established());
  return {client, server};
}

std::string SwitchTest::DescribeFlows() {
  std::string out = "the switch:\n";
  for (const FlowInfo& flow : backend_->Flows()) {
    if (flow.state != FlowInfo::State::kEstablished) continue;
    for (const auto& [from, to, way] : {std::tuple(flow.initiator, flow.target, flow.to_target),
                                        std::tuple(flow.target, flow.initiator, flow.to_initiator)}) {
      out += absl::StrFormat("    %d:%d-%d:%d delivered %d granted %d behind %d credit %d\n", from.cid, from.port,
                             to.cid, to.port, way.bytes, way.buf_alloc, way.fwd_cnt, way.credit);
    }
  }
  return out;
}

void SwitchTest::RunUntil(const std::function<bool()>& done, std::chrono::milliseconds patience) {
  // A test that waited in vain once has failed: what follows need not take long.
  const auto limit = HasFailure() ? std::chrono::milliseconds(200) : patience;
  if (!stage_.RunUntil(done, limit)) ADD_FAILURE() << "waited in vain\n" << stage_.Describe() << DescribeFlows();
}

void SwitchTest::RunUntilIdle() {
  if (!stage_.RunUntilIdle()) ADD_FAILURE() << "this never ends\n" << stage_.Describe();
}

void SwitchTest::AwaitNoFlows() {
  RunUntil([&] { return backend_->Flows().empty(); });
}

VsockPacket SwitchTest::Answer(SimulatedGuest& guest, const VsockPacket& packet) {
  guest.Capture(packet.src_port);
  guest.captured().clear();
  guest.SendRaw(packet);
  RunUntil([&] { return !guest.captured().empty(); });
  return guest.captured().empty() ? VsockPacket() : guest.captured().front();
}

}  // namespace kinsock::testing
