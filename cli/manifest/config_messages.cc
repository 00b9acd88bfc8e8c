// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest/config_messages.h"

#include <memory>
#include <utility>

#include "server/convert/forward_conversion.h"
#include "server/convert/network_conversion.h"
#include "server/convert/vm_conversion.h"
#include "server/model/vm.h"

namespace kinsock {

// By the daemon's own conversions, so that a field that it learns is known here, too.

v1::Network ToMessage(const NetworkCreation& network) {
  auto definition = std::make_shared<NetworkDefinition>();
  definition->id = network.id;
  definition->spec = network.spec;
  v1::Network message = ToProto(NetworkSnapshot{.definition = std::move(definition)});
  message.clear_managed_by();
  return message;
}

v1::Policy ToMessage(const PolicyCreation& policy) {
  PolicyDefinition definition;
  definition.id = policy.id;
  definition.network = policy.network;
  definition.spec = policy.spec;
  v1::Policy message = ToProto(definition);
  message.clear_managed_by();
  return message;
}

v1::Vm ToMessage(const VmCreation& vm) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = vm.id;
  definition->labels = vm.labels;
  definition->annotations = vm.annotations;
  definition->spec = vm.spec;
  VmSnapshot snapshot;
  snapshot.definition = std::move(definition);
  v1::Vm message = ToProto(snapshot, "");
  message.clear_status();
  message.clear_managed_by();
  return message;
}

v1::Forward ToMessage(const ForwardCreation& forward) {
  auto definition = std::make_shared<ForwardDefinition>();
  definition->id = forward.id;
  definition->spec = forward.spec;
  v1::Forward message = ToProto(ForwardSnapshot{std::move(definition), nullptr, ""});
  message.clear_status();
  message.clear_managed_by();
  return message;
}

}  // namespace kinsock
