// SPDX-License-Identifier: Apache-2.0
#include "server/vm_lifecycle.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

enum ConditionIndex { kFrontEndConnected, kDriverReady, kQuotaLimited };

void SetCondition(Condition& condition, bool holds, const char* reason, std::string message, WallTime now) {
  if (condition.holds != holds || condition.last_transition == WallTime()) condition.last_transition = now;
  condition.holds = holds;
  condition.reason = reason;
  condition.message = std::move(message);
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

void NobodyConnected(VmStatus& status, const char* reason, const std::string& message, WallTime now) {
  status.front_end.reset();
  SetCondition(status.conditions[kFrontEndConnected], false, reason, message, now);
  SetCondition(status.conditions[kDriverReady], false, "NoFrontEnd", "no VMM is connected", now);
}

}  // namespace

void BeginProvisioning(VmStatus& status, WallTime now) {
  status.state = VmState::kProvisioning;
  status.conditions[kFrontEndConnected].type = "FrontEndConnected";
  status.conditions[kDriverReady].type = "DriverReady";
  status.conditions[kQuotaLimited].type = "QuotaLimited";
  SetLimited(status, QuotaLimit::kNone, now);
  NobodyConnected(status, "Provisioning", "the device is being made", now);
}

void ApplyDeviceStatus(VmStatus& status, const DeviceStatus& device, WallTime now) {
  status.state = StateOf(device);
  SetLimited(status, device.limited, now);
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
  SetLimited(status, QuotaLimit::kNone, now);
}

void BeginDeleting(VmStatus& status, WallTime now) {
  status.state = VmState::kDeleting;
  NobodyConnected(status, "Deleting", "the VM is being deleted", now);
  SetLimited(status, QuotaLimit::kNone, now);
}

}  // namespace kinsock
