// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_plan.h"

#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/manager/vm_change.h"
#include "server/manager/vm_refusals.h"
#include "server/manager/vm_sockets.h"

namespace kinsock {
namespace {

using Action = ConfigChange::Action;
using Kind = ConfigPlan::Kind;
using Step = ConfigPlan::Step;

enum Phase : size_t {
  kNetworksThere,
  kPoliciesGone,
  kPoliciesThere,
  kForwardsGone,
  kVmsGone,
  kVmsThere,
  kForwardsThere,
  kNetworksGone
};

constexpr size_t kAll = std::numeric_limits<size_t>::max();

class Planner {
 public:
  Planner(const ReloadRequest& request, const NetworkManager& networks, VmManager& vms, const ForwardManager& forwards,
          const std::string& vms_dir)
      : request_(request), networks_(networks), vms_(vms), forwards_(forwards), vms_dir_(vms_dir) {}

  void PlanNetworks(const std::vector<ConfiguredNetwork>& wanted);
  void PlanPolicies(const std::vector<ConfiguredPolicy>& wanted);
  void PlanVms(const std::vector<ConfiguredVm>& wanted);
  void PlanForwards(const std::vector<ConfiguredForward>& wanted);  // after the VMs

  ConfigPlan plan;

 private:
  void PlanVm(const ConfiguredVm& vm, size_t index);
  size_t Note(Action action, std::string name, std::string place, absl::Status status = absl::OkStatus()) {
    plan.changes.push_back({action, std::move(name), std::move(place), std::move(status)});
    return plan.changes.size() - 1;
  }
  void Add(Phase phase, Step step) { plan.phases[phase].push_back(std::move(step)); }
  absl::Status MayTakeApart(const VmSnapshot& vm) const {
    if (!vm.status.front_end.has_value() || request_.force) return absl::OkStatus();
    return VmAttached(*vm.definition, vm.status.front_end->pid);
  }

  const ReloadRequest& request_;
  const NetworkManager& networks_;
  VmManager& vms_;
  const ForwardManager& forwards_;
  const std::string& vms_dir_;
};

// Whether a change makes of the one what the other is; else another one takes its place.
bool CanBecome(const ForwardSpec& one, const ForwardSpec& other) {
  return one.vm == other.vm && one.direction == other.direction && one.listen == other.listen &&
         one.access == other.access;
}

void Planner::PlanNetworks(const std::vector<ConfiguredNetwork>& wanted) {
  std::set<std::string> ids;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const NetworkCreation& creation = wanted[i].creation;
    ids.insert(creation.id);
    const absl::StatusOr<NetworkSnapshot> there = networks_.Get(creation.id);
    if (there.ok() && there->definition->configured && there->definition->spec == creation.spec) {
      ++plan.unchanged;
      continue;
    }
    const size_t change =
        Note(there.ok() ? Action::kUpdate : Action::kCreate, "networks/" + creation.id, wanted[i].origin);
    Add(kNetworksThere, {.kind = Kind::kNetwork, .change = change, .configured = i});
  }
  for (const NetworkSnapshot& network : networks_.List("", kAll)) {
    const NetworkDefinition& definition = *network.definition;
    if (!definition.configured || ids.count(definition.id) > 0) continue;
    const size_t change = Note(Action::kDelete, definition.name(), "");
    Add(kNetworksGone, {.kind = Kind::kNetwork, .remove = true, .change = change, .id = definition.id});
  }
}

void Planner::PlanPolicies(const std::vector<ConfiguredPolicy>& wanted) {
  std::set<std::pair<std::string, std::string>> ids;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const PolicyCreation& creation = wanted[i].creation;
    ids.insert({creation.network, creation.id});
    const absl::StatusOr<PolicyDefinitionPtr> there = networks_.Get(creation.network, creation.id);
    if (there.ok() && (*there)->configured && (*there)->spec == creation.spec) {
      ++plan.unchanged;
      continue;
    }
    // What the API has made of that name stays; the manager says so.
    const bool update = there.ok() && (*there)->configured;
    const size_t change = Note(update ? Action::kUpdate : Action::kCreate,
                               "networks/" + creation.network + "/policies/" + creation.id, wanted[i].origin);
    Add(kPoliciesThere, {.kind = Kind::kPolicy, .change = change, .configured = i});
  }
  for (const NetworkSnapshot& network : networks_.List("", kAll)) {
    const std::string& in = network.definition->id;
    const absl::StatusOr<std::vector<PolicyDefinitionPtr>> policies = networks_.List(in, "", kAll);
    if (!policies.ok()) continue;
    for (const PolicyDefinitionPtr& policy : *policies) {
      if (!policy->configured || ids.count({in, policy->id}) > 0) continue;
      const size_t change = Note(Action::kDelete, policy->name(), "");
      Add(kPoliciesGone,
          {.kind = Kind::kPolicy, .remove = true, .change = change, .id = policy->id, .network = policy->network});
    }
  }
}

void Planner::PlanVm(const ConfiguredVm& vm, size_t index) {
  const VmCreation& creation = vm.creation;
  const std::string name = "vms/" + creation.id;
  const absl::StatusOr<VmSnapshotPtr> there = vms_.Get(creation.id);
  if (!there.ok()) {
    const size_t change = Note(Action::kCreate, name, vm.origin);
    return Add(kVmsThere, {.kind = Kind::kVm, .change = change, .configured = index});
  }
  const VmSnapshot& now = **there;
  if (!now.definition->configured) {
    Note(Action::kCreate, name, vm.origin, VmExists(now));
    return;
  }
  const VmSocketPaths paths = VmSocketPaths::Resolve(creation, vms_dir_);
  const std::vector<FieldViolation> differences = ImmutableDifferences(now, creation.spec, paths, Compare::kAll);
  if (differences.empty()) {
    const auto next = Change(now.definition, UpdateTo(creation));
    if (next.ok() && *next == now.definition) {
      ++plan.unchanged;
      return;
    }
    const size_t change = Note(Action::kUpdate, name, vm.origin, next.status());
    if (next.ok()) Add(kVmsThere, {.kind = Kind::kVm, .change = change, .configured = index});
    return;
  }
  if (!MayTakeApart(now).ok()) {
    Note(Action::kReplace, name, vm.origin, ImmutableFields(*now.definition, differences));
    return;
  }
  const size_t change = Note(Action::kReplace, name, vm.origin);
  Add(kVmsGone, {.kind = Kind::kVm, .remove = true, .change = change, .id = creation.id});
  Add(kVmsThere, {.kind = Kind::kVm, .change = change, .configured = index});
}

void Planner::PlanVms(const std::vector<ConfiguredVm>& wanted) {
  std::set<std::string> ids;
  for (size_t i = 0; i < wanted.size(); ++i) {
    ids.insert(wanted[i].creation.id);
    PlanVm(wanted[i], i);
  }
  for (const VmSnapshotPtr& vm : *vms_.Snapshot()) {
    if (!vm->definition->configured || ids.count(vm->definition->id) > 0) continue;
    absl::Status fault = MayTakeApart(*vm);
    const bool may = fault.ok();
    const size_t change = Note(Action::kDelete, vm->definition->name(), "", std::move(fault));
    if (may) Add(kVmsGone, {.kind = Kind::kVm, .remove = true, .change = change, .id = vm->definition->id});
  }
}

void Planner::PlanForwards(const std::vector<ConfiguredForward>& wanted) {
  // A VM takes its forwards along.
  std::set<std::string> going;
  for (const Step& step : plan.phases[kVmsGone]) going.insert(step.id);
  std::set<std::string> ids;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ForwardCreation& creation = wanted[i].creation;
    ids.insert(creation.id);
    const std::string name = "forwards/" + creation.id;
    const absl::StatusOr<ForwardSnapshot> there = forwards_.Get(creation.id);
    Action action = Action::kCreate;
    // What the API has made of that name stays; the manager says so.
    if (there.ok() && there->definition->configured) {
      const ForwardSpec& now = there->definition->spec;
      const bool goes = going.count(now.vm_id()) > 0;
      if (now == creation.spec && !goes) {
        ++plan.unchanged;
        continue;
      }
      action = CanBecome(now, creation.spec) && !goes ? Action::kUpdate : Action::kReplace;
    }
    const size_t change = Note(action, name, wanted[i].origin);
    if (action == Action::kReplace) {
      Add(kForwardsGone, {.kind = Kind::kForward, .remove = true, .change = change, .id = creation.id});
    }
    Add(kForwardsThere, {.kind = Kind::kForward, .change = change, .configured = i});
  }
  for (const ForwardSnapshot& forward : forwards_.List("", "", kAll)) {
    const ForwardDefinition& definition = *forward.definition;
    if (!definition.configured || ids.count(definition.id) > 0) continue;
    const size_t change = Note(Action::kDelete, definition.name(), "");
    Add(kForwardsGone, {.kind = Kind::kForward, .remove = true, .change = change, .id = definition.id});
  }
}

std::string Text(const std::vector<TcpEndpoint>& endpoints) {
  return absl::StrJoin(endpoints, ",", [](std::string* out, const TcpEndpoint& endpoint) { *out += endpoint.text(); });
}

}  // namespace

ConfigPlan PlanConfig(const Config& config, const ReloadRequest& request, const NetworkManager& networks,
                      VmManager& vms, const ForwardManager& forwards, const std::string& vms_dir) {
  Planner planner(request, networks, vms, forwards, vms_dir);
  planner.PlanNetworks(config.networks);
  planner.PlanPolicies(config.policies);
  planner.PlanVms(config.vms);
  planner.PlanForwards(config.forwards);
  return std::move(planner.plan);
}

std::vector<std::string> SettingsThatNeedARestart(const Config& running, const Config& wanted) {
  std::vector<std::string> settings;
  const auto compare = [&settings](bool same, const char* setting) {
    if (!same) settings.emplace_back(setting);
  };
  compare(running.api_sockets == wanted.api_sockets && Text(running.api_tcp) == Text(wanted.api_tcp), "api.listen");
  compare(running.api_view_sockets == wanted.api_view_sockets, "api.viewer_socket");
  compare(running.tls.certificate == wanted.tls.certificate && running.tls.key == wanted.tls.key &&
              running.tls.client_ca == wanted.tls.client_ca,
          "api.tls");
  compare(running.http.endpoint() == wanted.http.endpoint(), "http.listen");
  compare(running.http.per_vm == wanted.http.per_vm, "http.per_vm_metrics");
  compare(running.capture_payload == wanted.capture_payload, "capture.payload");
  compare(running.http.ui == wanted.http.ui, "http.ui");
  compare(running.state_dir == wanted.state_dir, "state.dir");
  compare(running.vm_socket_dir == wanted.vm_socket_dir, "defaults.socket_dir");
  compare(running.reactors == wanted.reactors, "daemon.reactors");
  compare(running.poll == wanted.poll, "daemon.poll_us");
  compare(running.log_format == wanted.log_format, "daemon.log_format");
  return settings;
}

}  // namespace kinsock
