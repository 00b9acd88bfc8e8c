// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_dump.h"

#include <utility>

#include "server/config/config_yaml.h"
#include "server/convert/forward_conversion.h"
#include "server/convert/network_conversion.h"
#include "server/convert/vm_conversion.h"
#include "server/manager/network_manager.h"

namespace kinsock {
namespace {

// What the daemon says of an object stays out: it is left with its name and what somebody has said.
template <typename Definition>
Definition Bare(const Definition& definition) {
  Definition bare = definition;
  bare.uid.clear();
  return bare;
}

void Add(const NetworkDefinition& network, v1::ConfigDump& piece) {
  piece.mutable_yaml()->append(NetworkToYaml(network.id, network.spec));
  const auto bare = std::make_shared<const NetworkDefinition>(Bare(network));
  *piece.add_networks() = ToProto(NetworkSnapshot{.definition = bare});
}

void Add(const PolicyDefinition& policy, v1::ConfigDump& piece) {
  piece.mutable_yaml()->append(PolicyToYaml(policy.id, policy.network, policy.spec));
  v1::Policy& message = *piece.add_policies();
  message = ToProto(Bare(policy));
  message.clear_hits();
}

void Add(const VmDefinition& vm, v1::ConfigDump& piece) {
  auto bare = std::make_shared<VmDefinition>(Bare(vm));
  // Reservations are not told.
  CidRequest& cid = bare->spec.cid;
  if (cid.kind == CidRequest::Kind::kReserved) cid = CidRequest::Fixed(cid.first);
  piece.mutable_yaml()->append(VmToYaml(bare->id, bare->labels, bare->annotations, bare->spec));
  VmSnapshot snapshot;
  snapshot.definition = std::move(bare);
  v1::Vm& message = *piece.add_vms();
  message = ToProto(snapshot, "");
  message.clear_status();
}

void Add(const ForwardDefinition& forward, v1::ConfigDump& piece) {
  piece.mutable_yaml()->append(ForwardToYaml(forward.id, forward.spec));
  v1::Forward& message = *piece.add_forwards();
  message = ToProto(ForwardSnapshot{std::make_shared<const ForwardDefinition>(Bare(forward)), nullptr, ""});
  message.clear_status();
}

const NetworkDefinition& DefinitionOf(const NetworkDefinitionPtr& network) { return *network; }
const PolicyDefinition& DefinitionOf(const PolicyDefinitionPtr& policy) { return *policy; }
const VmDefinition& DefinitionOf(const VmSnapshotPtr& vm) { return *vm->definition; }
const ForwardDefinition& DefinitionOf(const ForwardDefinitionPtr& forward) { return *forward; }

}  // namespace

// Text and messages have about the same size.
bool ConfigDump::Full(const v1::ConfigDump& piece) { return 2 * piece.yaml().size() > kPieceBytes; }

template <typename List>
void ConfigDump::AddList(const List& list, const char* title, v1::ConfigDump& piece) {
  for (; next_ < list.size() && !Full(piece); ++next_) {
    const auto& definition = DefinitionOf(list[next_]);
    if (file_only_ && !definition.configured) continue;
    if (!std::exchange(titled_, true)) piece.mutable_yaml()->append(title);
    Add(definition, piece);
  }
  if (next_ < list.size()) return;
  ++list_;
  next_ = 0;
  titled_ = false;
}

bool ConfigDump::Next(v1::ConfigDump& piece) {
  piece.Clear();
  if (!std::exchange(begun_, true)) {
    piece.set_yaml(SettingsToYaml(snapshot_.settings));
    return true;
  }
  if (list_ == 0) AddList(snapshot_.networks, "networks:\n", piece);
  if (list_ == 1) AddList(snapshot_.policies, "policies:\n", piece);
  if (list_ == 2) AddList(*snapshot_.vms, "vms:\n", piece);
  if (list_ == 3) AddList(snapshot_.forwards, "forwards:\n", piece);
  return !piece.yaml().empty();
}

}  // namespace kinsock
