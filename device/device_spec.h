// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DEVICE_SPEC_H_
#define KINSOCK_DEVICE_DEVICE_SPEC_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/token_bucket.h"
#include "base/unique_fd.h"
#include "device/device_stats.h"
#include "device/guest_notice.h"
#include "device/host_address.h"
#include "device/readiness.h"
#include "router/cid.h"
#include "router/network.h"

namespace kinsock {

// Names a device for the life of the process; never reused.
using DeviceId = uint64_t;

// The bounds one VM lives in. Each is counted when it is hit. Those of the quota can change while the device exists
// (VsockDevice::SetLimits): what is more already stays.
struct DeviceLimits {
  // Connections of one VM, both directions, host and siblings: two hundred times what Linux guests usually
  // hold. Beyond it a new one is reset (QUOTA).
  uint32_t max_connections = 65536;
  // Connections that nobody has answered yet. Beyond it a new one is reset (QUOTA).
  uint32_t max_pending_connections = 4096;
  // Payload that was taken from senders and waits for this VM: guest memory it has not posted, or host
  // programs that do not read. Beyond it the connection that would add more is reset (QUOTA).
  uint64_t max_buffered_bytes = 64u << 20;
  // Connections begun in a second, both directions, whatever comes of them. Beyond it a new one is reset (QUOTA).
  Rate connects;
  // Payload in a second. Beyond it what is for the guest waits where it is: at its sender, which is paid for by
  // credit, or unread in the host program's socket; what is from the guest waits in its transmit ring.
  Rate bytes_to_guest;
  Rate bytes_from_guest;
  // Packets of the guest in a second, with or without payload. Beyond it they wait in its transmit ring.
  Rate packets_from_guest;
  // What the guest and its VMM may say that moves nothing (ControlAllowance): some percent of a reactor, if each costs
  // a microsecond. Beyond it the guest is left alone for moments.
  uint32_t control_per_second = 20'000;
  uint32_t control_burst = 4'000;
};

// A limit of the quota, as a reason.
enum class QuotaLimit : uint8_t {
  kNone,
  kConnections,
  kPendingConnections,
  kBufferBytes,
  kConnects,
  kBytesToGuest,
  kBytesFromGuest,
  kPacketsFromGuest,
};
inline constexpr size_t kQuotaLimits = static_cast<size_t>(QuotaLimit::kPacketsFromGuest) + 1;

// A port of the host's AF_VSOCK that stands for the same port of a guest.
struct ForwardSocket {
  UniqueFd listener;  // listening AF_VSOCK stream socket, non-blocking
  uint32_t port = 0;
};

// All that a reactor needs to serve one VM. Plain values and descriptors: it is moved to the reactor's thread.
struct DeviceSpec {
  DeviceId id = 0;
  std::string name;  // for log lines and policies: "vms/<id>"
  NetworkId network = kDefaultNetwork;
  Cid cid = 0;                      // IsGuestCid(); nobody else's in the network
  std::vector<std::string> groups;  // for policies, as the labels are
  std::map<std::string, std::string> labels;
  UniqueFd vhost_user_listener;         // listening AF_UNIX stream socket, non-blocking
  UniqueFd host_listener;               // the same for the hybrid socket; invalid: none
  HostAddress host;                     // where the guest finds host programs; kNone: no host side
  std::vector<ForwardSocket> forwards;  // host's AF_VSOCK ports that stand for the guest's
  uint32_t queue_size = 1024;           // largest ring that the front-end may set; power of two, up to 32768
  uint32_t tx_buffer_bytes = 65536;     // window granted to the guest on each connection to the host
  bool seqpacket = true;                // offers connections of type SEQPACKET to the guest's driver
  Readiness readiness;                  // who says that the guest is ready
  DeviceLimits limits;
  // What the device counts into, for whoever wants to read it; not null.
  std::shared_ptr<DeviceStats> stats = std::make_shared<DeviceStats>();
};

// How far the VM's side of the device has come.
enum class DeviceState : uint8_t {
  kListening,  // no front-end
  kConnected,  // vhost-user session, driver not ready
  kActive,     // the driver runs, packets flow
  kSuspended,  // the rings are stopped; connections wait
};

// Whether the device begins connections.
enum class DrainState : uint8_t {
  kNone,      // it does
  kDraining,  // no more; some are left
  kDrained,   // no more, and none is left
};

// Why a device is worse off than its VM should be.
enum class DeviceFault : uint8_t {
  kNone,
  kRings,    // its rings or its memory made no sense: it is stopped until they are set up anew
  kMessage,  // the front-end was told that something it wanted cannot be done, and the driver does not run since
};

// Who is at the other end of the vhost-user socket.
struct FrontEndInfo {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t features = 0;           // virtio features as acknowledged
  uint64_t protocol_features = 0;  // VHOST_USER_PROTOCOL_F_* as acknowledged
  uint32_t memory_regions = 0;
  std::chrono::system_clock::time_point since;
};

// What a device reports whenever it changes.
struct DeviceStatus {
  DeviceState state = DeviceState::kListening;
  DrainState drain = DrainState::kNone;
  QuotaLimit limited = QuotaLimit::kNone;  // held something back, or refused it, in the last moments (LimitWatch)
  Readiness readiness;                     // the source that is asked
  GuestNotice::Word guest = GuestNotice::Word::kNone;  // what it has said, of the driver that is there
  std::string guest_text;                              // what the guest says of itself (GuestNotice::Describe)
  bool flooding = false;                               // the control allowance was spent in the last moments
  DeviceFault fault = DeviceFault::kNone;              // of the present session
  std::string fault_text;                              // kMessage: which one, and why
  FrontEndInfo front_end;                              // meaningful unless kListening
  std::string last_error;                              // why the last session ended, if it ended badly; empty otherwise
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DEVICE_SPEC_H_
