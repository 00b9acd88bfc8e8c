// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/configured_objects.h"

#include <cstddef>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/manager/forward_manager.h"
#include "server/manager/vm_refusals.h"
#include "server/model/vm_settings.h"
#include "server/status/error.h"

namespace kinsock {

absl::Status AllOf(const std::vector<std::string>& faults) {
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

std::string DescribeFault(const ConfiguredVm& vm, const absl::Status& status) {
  const std::vector<FieldViolation> fields = ErrorFields(status);
  if (fields.empty()) return absl::StrCat(vm.origin, ": ", status.message());
  return absl::StrJoin(fields, "\n", [&](std::string* out, const FieldViolation& field) {
    absl::StrAppend(out, vm.origin, ": ", SettingOfField(field.field), ": ", field.description);
  });
}

PromisedCids FixedCids(const Config& config) {
  PromisedCids cids;
  for (const ConfiguredVm& vm : config.vms) {
    if (vm.creation.spec.cid.kind == CidRequest::Kind::kFixed) {
      cids.insert({NetworkOf(vm.creation.spec), vm.creation.spec.cid.first});
    }
  }
  return cids;
}

absl::Status CheckNames(const Config& config, const SavedState& saved, const std::string& path) {
  std::set<std::string> vms, forwards;
  for (const SavedVm& vm : saved.vms) vms.insert(vm.definition->id);
  for (const ForwardDefinitionPtr& forward : saved.forwards) forwards.insert(forward->id);
  std::vector<std::string> faults;
  const auto check = [&](const auto& configured, const std::set<std::string>& taken, const char* kind) {
    for (const auto& object : configured) {
      if (taken.count(object.creation.id) == 0) continue;
      faults.push_back(absl::StrCat(object.origin, ": name: \"", object.creation.id, "\" is that of a ", kind,
                                    " which was created through the API and is kept in ", path,
                                    "; give this one another name, or start without it and delete the other"));
    }
  };
  check(config.vms, vms, "VM");
  check(config.forwards, forwards, "forward");
  return AllOf(faults);
}

// As ForwardManager::Create() looks for them: all are made by then.
absl::Status CheckForwards(const std::vector<ConfiguredForward>& forwards, const std::vector<ConfiguredVm>& vms,
                           const SavedState& saved) {
  std::map<std::string, size_t> of_vms;
  for (const ConfiguredVm& vm : vms) of_vms[vm.creation.id] = 0;
  for (const SavedVm& vm : saved.vms) of_vms[vm.definition->id] = 0;
  for (const ForwardDefinitionPtr& forward : saved.forwards) ++of_vms[forward->spec.vm_id()];
  size_t all = saved.forwards.size();
  std::vector<std::string> faults;
  for (const ConfiguredForward& forward : forwards) {
    const std::string id = forward.creation.spec.vm_id();
    const auto vm = of_vms.find(id);
    const absl::Status fault = vm == of_vms.end() ? VmNotFound(id) : ForwardManager::CheckRoom(all, vm->second);
    if (!fault.ok()) {
      faults.push_back(DescribeFault(forward, fault));
      continue;
    }
    ++all;
    ++vm->second;
  }
  return AllOf(faults);
}

absl::Status CreateConfiguredNetworks(EventLoop& loop, const Config& config, NetworkManager& networks,
                                      absl::FunctionRef<absl::Status()> check_stop) {
  const auto faults = std::make_shared<std::vector<std::string>>();
  const auto create = [&networks](auto creation, auto done) { networks.Create(std::move(creation), std::move(done)); };
  KINSOCK_RETURN_IF_ERROR(MakeEach(loop, config.networks, create, check_stop, faults));
  KINSOCK_RETURN_IF_ERROR(MakeEach(loop, config.policies, create, check_stop, faults));
  return AllOf(*faults);
}

}  // namespace kinsock
