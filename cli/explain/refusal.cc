// SPDX-License-Identifier: Apache-2.0
#include "cli/explain/refusal.h"

#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_cat.h"
#include "cli/call/ask.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// A minute of refusals at the rate that the daemon remembers them; what is beyond that is not what somebody looks for.
constexpr int kMostPages = 16;

bool EndedBefore(const v1::Connection& a, const v1::Connection& b) {
  using google::protobuf::util::TimeUtil;
  return TimeUtil::TimestampToNanoseconds(a.close_time()) < TimeUtil::TimestampToNanoseconds(b.close_time());
}

}  // namespace

std::string ReasonText(v1::Connection::CloseReason reason) {
  using Connection = v1::Connection;
  switch (reason) {
    case Connection::NO_LISTENER:
      return "nobody listens there";
    case Connection::GUEST_RST:
      return "the guest said no: nobody listens there, or who listened broke off";
    case Connection::HOST_EOF:
      return "the host program ended it";
    case Connection::POLICY_DENIED:
      return "a policy of their network, or its default, does not let the two talk";
    case Connection::CONNECT_TIMEOUT:
      return "the other end did not answer in 2 seconds";
    case Connection::CREDIT_VIOLATION:
      return "an end sent more than the other had room for";
    case Connection::MALFORMED:
      return "an end sent packets that make no sense";
    case Connection::QUOTA:
      return "a quota is used up";
    case Connection::PEER_GONE:
      return "nobody has that CID now, or who had it went away";
    case Connection::DRAIN:
      return "the VM is being drained and takes no new connections";
    case Connection::ADMIN_RESET:
      return "somebody reset it through the API";
    case Connection::TRANSPORT_RESET:
      return "the VM's device was reset";
    case Connection::FINISHED:
      return "both ends have finished";
    case Connection::TYPE_UNSUPPORTED:
      return "one end wants messages (SOCK_SEQPACKET) and the other a stream, or has none of these";
    case Connection::MESSAGE_TOO_LARGE:
      return "a message was larger than can be carried";
    default:
      return absl::StrCat("the daemon says ", Connection::CloseReason_Name(reason));
  }
}

ExitCode ExitCodeOf(v1::Connection::CloseReason reason) {
  switch (reason) {
    case v1::Connection::POLICY_DENIED:
      return kExitDenied;
    case v1::Connection::CONNECT_TIMEOUT:
      return kExitDeadline;
    case v1::Connection::NO_LISTENER:
    case v1::Connection::GUEST_RST:
    case v1::Connection::DRAIN:
    case v1::Connection::TYPE_UNSUPPORTED:
      return kExitConflict;
    default:
      return kExitError;
  }
}

std::string NextAfter(v1::Connection::CloseReason reason, const std::string& from, const std::string& vm,
                      uint32_t port) {
  switch (reason) {
    case v1::Connection::POLICY_DENIED:
      return absl::StrCat("kinsockctl policy test ", from, " ", vm, ":", port);
    case v1::Connection::QUOTA:
      return absl::StrCat("kinsockctl stats ", vm);
    case v1::Connection::DRAIN:
      return absl::StrCat("kinsockctl vm resume ", vm);
    default:
      return absl::StrCat("kinsockctl conn list --closed --vm ", vm);
  }
}

std::optional<Obstacle> ObstacleOf(const v1::Vm& vm) {
  const std::string name = ShortVmName(vm.name());
  using Status = v1::VmStatus;
  switch (vm.status().state()) {
    case Status::ACTIVE:
      return std::nullopt;
    case Status::PROVISIONING:
      return Obstacle{"PROVISIONING", "its device is still being made",
                      absl::StrCat("kinsockctl vm wait ", name, " --for=LISTENING")};
    case Status::LISTENING:
      return Obstacle{"NO_VMM", "no VMM is connected to its device", absl::StrCat("kinsockctl vmm-args ", name)};
    case Status::CONNECTED:
      return Obstacle{"NO_DRIVER",
                      "its VMM is there, but the guest's vsock driver is not (modprobe vmw_vsock_virtio_transport)",
                      absl::StrCat("kinsockctl vm wait ", name, " --for=ACTIVE")};
    case Status::SUSPENDED:
      return Obstacle{"SUSPENDED",
                      "its VMM has stopped the device: the guest is paused, or has unloaded the vsock driver",
                      absl::StrCat("kinsockctl vm wait ", name, " --for=ACTIVE")};
    case Status::DRAINING:
    case Status::DRAINED:
      return Obstacle{"DRAINED", "it is drained and takes no new connections",
                      absl::StrCat("kinsockctl vm resume ", name)};
    case Status::DELETING:
      return Obstacle{"DELETING", "it is being deleted", absl::StrCat("kinsockctl vm wait ", name, " --for=deleted")};
    default:
      return Obstacle{Status::State_Name(vm.status().state()),
                      absl::StrCat("it is ", Status::State_Name(vm.status().state())),
                      absl::StrCat("kinsockctl vm get ", name, " -o yaml")};
  }
}

std::optional<v1::Connection> LastClosed(Client& client, const std::string& vm,
                                         const std::function<bool(const v1::Connection&)>& wanted) {
  std::optional<v1::Connection> last;
  v1::ListConnectionsRequest request;
  request.set_vm(vm);
  request.add_states(v1::Connection::CLOSED);
  const auto take = [&](const v1::ListConnectionsResponse& page) {
    for (const v1::Connection& connection : page.connections()) {
      if (wanted(connection) && (!last.has_value() || !EndedBefore(connection, *last))) last = connection;
    }
  };
  ForEachPage(client, client.connections(), &v1::ConnectionService::Stub::ListConnections, request, take, kMostPages);
  return last;
}

}  // namespace kinsock
