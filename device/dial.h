// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DIAL_H_
#define KINSOCK_DEVICE_DIAL_H_

#include <cstdint>
#include <memory>

#include "router/close_reason.h"
#include "router/flow.h"
#include "router/policy.h"

namespace kinsock {

// A connection to a port of a guest that the daemon itself asks for, in somebody's name. It is a host program's like
// others, with the same policies, quotas and statistics, but is told how it fares instead of "OK <port>\n".
//
//     Dial --- the guest accepts: OnOpened ---> open --- it is over: OnEnded, then the socket is closed
//       \---- it is refused: OnEnded, without OnOpened
//
// OnEnded comes when the guest's last bytes are in the socket, or are given up, and before that is closed: who sees end
// of file on the other end, and has not been told, knows that the guest has shut down its half in order. What the
// socket holds can still be read.
//
// kFinished says that the guest has ended it in order and has taken all that was written to the socket: what it left
// there is lost, and makes it kGuestReset.
//
// A device that goes before it has taken the dial lets go of it untold; the destructor has to see to that.
//
// Thread: the reactor of the VM's device.
class Dial {
 public:
  // `caller`: who is shown as the host program.
  Dial(uint32_t guest_port, const Flow::HostPeer& caller) : guest_port_(guest_port), caller_(caller) {}
  virtual ~Dial() = default;
  Dial(const Dial&) = delete;
  Dial& operator=(const Dial&) = delete;

  uint32_t guest_port() const { return guest_port_; }
  const Flow::HostPeer& caller() const { return caller_; }

  // `host_port`: by which the guest knows the caller. `connection`: Flow::id().
  virtual void OnOpened(uint32_t host_port, uint64_t connection) = 0;
  // Once. `denied_by`: for kPolicyDenied, the policy that did; null: the network's default.
  virtual void OnEnded(CloseReason reason, std::shared_ptr<const Policy> denied_by) = 0;

 private:
  const uint32_t guest_port_;
  const Flow::HostPeer caller_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DIAL_H_
