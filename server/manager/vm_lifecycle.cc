// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_lifecycle.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kinsock {
namespace {

// In kConditionTypes.
enum ConditionIndex { kFrontEndConnected, kDriverReady, kGuestReady, kQuotaLimited, kDegraded };

enum class Holds : uint8_t { kNo, kYes, kUnknown };

void SetCondition(Condition& condition, Holds value, const char* reason, std::string message, WallTime now) {
  const bool known = value != Holds::kUnknown;
  const bool holds = value == Holds::kYes;
  const bool turned = condition.known != known || condition.holds != holds;
  if (turned || condition.last_transition == WallTime()) condition.last_transition = now;
  condition.known = known;
  condition.holds = holds;
  condition.reason = reason;
  condition.message = std::move(message);
}

void SetCondition(Condition& condition, bool holds, const char* reason, std::string message, WallTime now) {
  SetCondition(condition, holds ? Holds::kYes : Holds::kNo, reason, std::move(message), now);
}

struct LimitName {
  const char* reason;
  const char* field;
};

LimitName NameOf(QuotaLimit limit) {
  switch (limit) {
    case QuotaLimit::kNone:
      break;
    case QuotaLimit::kConnections:
      return {"MaxConnections", "max_connections"};
    case QuotaLimit::kPendingConnections:
      return {"MaxPendingConnections", "max_pending_connections"};
    case QuotaLimit::kBufferBytes:
      return {"MaxBufferBytes", "max_buffer_bytes"};
    case QuotaLimit::kConnects:
      return {"ConnectsPerSecond", "connects_per_second"};
    case QuotaLimit::kBytesToGuest:
      return {"BytesToGuest", "bytes_to_guest"};
    case QuotaLimit::kBytesFromGuest:
      return {"BytesFromGuest", "bytes_from_guest"};
    case QuotaLimit::kPacketsFromGuest:
      return {"PacketsFromGuest", "packets_from_guest"};
  }
  return {"WithinLimits", ""};
}

void SetLimited(VmStatus& status, QuotaLimit limit, WallTime now) {
  const LimitName name = NameOf(limit);
  const bool limited = limit != QuotaLimit::kNone;
  SetCondition(status.conditions[kQuotaLimited], limited, name.reason,
               limited ? absl::StrCat(name.field, " has held something back or refused it lately")
                       : "no limit has held anything back lately",
               now);
}

// What is waited for.
std::string Awaited(const Readiness& readiness) {
  switch (readiness.source) {
    case Readiness::Source::kNone:
      break;
    case Readiness::Source::kGuestConnects:
      return absl::StrCat("the guest has not yet asked for a connection to port ", readiness.port, " of the host");
    case Readiness::Source::kProbe:
      return absl::StrCat("nobody in the guest accepts connections to its port ", readiness.port, " yet");
    case Readiness::Source::kNotify:
      return absl::StrCat("the guest has not yet sent READY=1 to port ", readiness.port, " of the host");
  }
  return "";
}

struct Said {
  const char* reason;
  const char* message;
};

// Why it is ready.
Said SaidBy(Readiness::Source source) {
  switch (source) {
    case Readiness::Source::kNone:
      break;
    case Readiness::Source::kGuestConnects:
      return {"GuestConnected", "the guest asked for a connection to port "};
    case Readiness::Source::kProbe:
      return {"ProbeAccepted", "a program in the guest accepted a connection to its port "};
    case Readiness::Source::kNotify:
      return {"GuestNotified", "the guest sent READY=1 to port "};
  }
  return {"NoSource", ""};
}

void SetGuestReady(VmStatus& status, const DeviceStatus& device, WallTime now) {
  Condition& condition = status.conditions[kGuestReady];
  const Readiness& readiness = device.readiness;
  if (readiness.source == Readiness::Source::kNone) {
    return SetCondition(condition, Holds::kUnknown, "NoSource",
                        "nobody says whether the guest is ready: spec.readiness is not set", now);
  }
  if (device.state == DeviceState::kListening) {
    return SetCondition(condition, false, "NoFrontEnd", "no VMM is connected", now);
  }
  if (device.state == DeviceState::kConnected) {
    return SetCondition(condition, false, "DriverNotReady", "the guest's driver has not set up the device", now);
  }
  const std::string says = device.guest_text.empty() ? "" : "; the guest says: " + device.guest_text;
  const bool ready = device.guest == GuestNotice::Word::kReady;
  if (ready && device.state == DeviceState::kSuspended) {
    return SetCondition(condition, Holds::kUnknown, "RingsStopped",
                        "the VMM stopped the virtqueues of a guest that was ready" + says, now);
  }
  if (ready) {
    const Said said = SaidBy(readiness.source);
    const char* of = readiness.source == Readiness::Source::kProbe ? "" : " of the host";
    return SetCondition(condition, true, said.reason, absl::StrCat(said.message, readiness.port, of, says), now);
  }
  if (device.guest == GuestNotice::Word::kStopping) {
    return SetCondition(condition, false, "GuestStopping", "the guest sent STOPPING=1" + says, now);
  }
  SetCondition(condition, false, "Waiting", Awaited(readiness) + says, now);
}

struct Trouble {
  const char* reason;
  std::string message;  // what is wrong, and what to do
};

// The worst first.
std::vector<Trouble> TroublesOf(const DeviceStatus& device, Cid cid, const VmTroubles& others) {
  std::vector<Trouble> troubles;
  if (device.fault == DeviceFault::kRings) {
    troubles.push_back(
        {"RingsBroken",
         "the guest's virtqueues or memory made no sense, and the device is stopped: reset the guest, or its "
         "driver"});
  }
  if (device.fault == DeviceFault::kMessage) {
    troubles.push_back({"RequestRefused", absl::StrCat("the VMM asked for what cannot be done (", device.fault_text,
                                                       "): see that it shares the guest's memory, then restart it")});
  }
  if (device.driver_cid != 0 && device.driver_cid != cid) {
    troubles.push_back(
        {"FormerCid", absl::StrCat("the guest's driver goes by CID ", device.driver_cid, " still, not by ", cid,
                                   ", and reaches nobody: reboot the guest, or unload and load its driver")});
  }
  if (device.state == DeviceState::kListening && !device.last_error.empty()) {
    troubles.push_back({"SessionFailed", absl::StrCat("the last VMM was sent away (", device.last_error,
                                                      "): see that it speaks vhost-user, then restart it")});
  }
  if (!others.lost_socket.empty()) {
    troubles.push_back(
        {"SocketLost", absl::StrCat("somebody has removed or replaced ", others.lost_socket,
                                    ", so that nobody new can connect: delete the VM and create it anew")});
  }
  if (!others.store.empty()) {
    troubles.push_back(
        {"StoreFailed", absl::StrCat("the last change of the VM was not made, because it could not be written (",
                                     others.store, "): make room in the state directory, then repeat it")});
  }
  if (device.flooding) {
    troubles.push_back(
        {"ControlFlood",
         "the guest or its VMM sends more that moves nothing than it may, and is left alone for moments: "
         "look at limited_control in its statistics, and at what runs in it"});
  }
  return troubles;
}

void SetDegraded(VmStatus& status, const std::vector<Trouble>& troubles, WallTime now) {
  Condition& condition = status.conditions[kDegraded];
  if (troubles.empty()) return SetCondition(condition, false, "NothingWrong", "nothing is known to be wrong", now);
  const std::string all =
      absl::StrJoin(troubles, "; ", [](std::string* out, const Trouble& each) { out->append(each.message); });
  SetCondition(condition, true, troubles.front().reason, all, now);
}

void NobodyConnected(VmStatus& status, const char* reason, const std::string& message, WallTime now) {
  status.front_end.reset();
  status.driver_cid = 0;
  SetCondition(status.conditions[kFrontEndConnected], false, reason, message, now);
  SetCondition(status.conditions[kDriverReady], false, "NoFrontEnd", "no VMM is connected", now);
}

// There is no device that could say it.
void NoGuest(VmStatus& status, const char* reason, const std::string& message, WallTime now) {
  SetCondition(status.conditions[kGuestReady], false, reason, message, now);
}

}  // namespace

VmState StateOf(const DeviceStatus& device) {
  if (device.drain == DrainState::kDraining) return VmState::kDraining;
  if (device.drain == DrainState::kDrained) return VmState::kDrained;
  switch (device.state) {
    case DeviceState::kListening:
      return VmState::kListening;
    case DeviceState::kConnected:
      return VmState::kConnected;
    case DeviceState::kActive:
      return VmState::kActive;
    case DeviceState::kSuspended:
      return VmState::kSuspended;
  }
  return VmState::kUnspecified;
}

void BeginProvisioning(VmStatus& status, WallTime now) {
  status.state = VmState::kProvisioning;
  for (size_t i = 0; i < kConditionTypes.size(); ++i) status.conditions[i].type = kConditionTypes[i];
  SetLimited(status, QuotaLimit::kNone, now);
  SetDegraded(status, {}, now);
  NobodyConnected(status, "Provisioning", "the device is being made", now);
  NoGuest(status, "Provisioning", "the device is being made", now);
}

void ApplyDeviceStatus(VmStatus& status, const DeviceStatus& device, WallTime now, const VmTroubles& troubles) {
  status.state = StateOf(device);
  status.driver_cid = device.driver_cid;
  SetDegraded(status, TroublesOf(device, status.cid, troubles), now);
  SetLimited(status, device.limited, now);
  SetGuestReady(status, device, now);
  if (device.state == DeviceState::kListening) {
    if (device.last_error.empty()) {
      NobodyConnected(status, "NoFrontEnd", "no VMM is connected", now);
    } else {
      NobodyConnected(status, "SessionFailed", "the last session ended: " + device.last_error, now);
    }
    return;
  }
  status.front_end = device.front_end;
  SetCondition(status.conditions[kFrontEndConnected], true, "Attached",
               absl::StrCat("pid ", device.front_end.pid, " of uid ", device.front_end.uid), now);
  Condition& driver = status.conditions[kDriverReady];
  switch (device.state) {
    case DeviceState::kActive:
      SetCondition(driver, true, "DriverOk", "the guest's driver runs", now);
      break;
    case DeviceState::kSuspended:
      SetCondition(driver, false, "RingsStopped", "the VMM stopped the virtqueues", now);
      break;
    default:
      SetCondition(driver, false, "DriverNotReady", "the guest's driver has not set up the device", now);
  }
}

void BeginFailed(VmStatus& status, const std::string& why, WallTime now) {
  status.state = VmState::kFailed;
  NobodyConnected(status, "NotServed", why, now);
  NoGuest(status, "NotServed", "the VM is not served", now);
  SetDegraded(status, {{"NotServed", absl::StrCat("the VM cannot be served: ", why)}}, now);
  SetLimited(status, QuotaLimit::kNone, now);
}

void BeginDeleting(VmStatus& status, WallTime now) {
  status.state = VmState::kDeleting;
  NobodyConnected(status, "Deleting", "the VM is being deleted", now);
  NoGuest(status, "Deleting", "the VM is being deleted", now);
  SetDegraded(status, {}, now);
  SetLimited(status, QuotaLimit::kNone, now);
}

}  // namespace kinsock
