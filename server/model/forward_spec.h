// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_FORWARD_SPEC_H_
#define KINSOCK_SERVER_MODEL_FORWARD_SPEC_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "device/forward.h"
#include "server/host/socket_access.h"
#include "server/model/network.h"

namespace kinsock {

// What is wanted of a forward: what a client or a configuration file may say. Plain value; checked by
// forward_validation, and what is said below holds after that.
struct ForwardSpec {
  std::string vm;  // "vms/{id}"
  uint32_t guest_port = 0;
  std::optional<Forward::Direction> direction;  // has one
  std::string listen;                           // kToGuest, else empty: "unix:/path", "tcp:127.0.0.1:80"
  std::string target;                           // kFromGuest, else empty
  std::optional<SocketAccess> access;
  bool send_proxy_v2 = false;
  friend bool operator==(const ForwardSpec&, const ForwardSpec&) = default;

  const std::string& address() const { return to_guest() ? listen : target; }
  bool to_guest() const { return direction == Forward::Direction::kToGuest; }
  std::string vm_id() const { return vm.substr(vm.find('/') + 1); }
};

struct ForwardDefinition : DefinitionBase {
  ForwardSpec spec;

  std::string name() const { return "forwards/" + id; }
};

using ForwardDefinitionPtr = std::shared_ptr<const ForwardDefinition>;

// A forward with what it has counted.
struct ForwardSnapshot {
  ForwardDefinitionPtr definition;            // null: there is none
  std::shared_ptr<const ForwardStats> stats;  // null: it was never served
  std::string error;                          // why it is not served; empty: it is
};

using ForwardCreation = CreationBy<ForwardSpec>;
using ForwardUpdate = UpdateBy<ForwardSpec>;

struct ForwardDeletion : MutationRequest {
  std::string uid;  // empty: whatever it is
  bool allow_missing = false;
  bool reset_connections = false;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_FORWARD_SPEC_H_
