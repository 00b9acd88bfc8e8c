// SPDX-License-Identifier: Apache-2.0
//
// NetworkManager: policies, and how the reactors come to go by them.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "server/host/log.h"
#include "server/manager/definitions.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_refusals.h"
#include "server/model/network_validation.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status PolicyNotFound(const std::string& network, const std::string& id) {
  return DefinitionNotFound("POLICY_NOT_FOUND", "kinsock.v1.Policy", "networks/" + network + "/policies/" + id);
}

std::shared_ptr<const Policy> ToPolicy(const PolicyDefinition& definition) {
  const PolicySpec& spec = definition.spec;
  auto policy = std::make_shared<Policy>();
  policy->name = definition.name();
  policy->priority = spec.priority;
  policy->allow = spec.allow;
  policy->log = spec.log;
  policy->reset_existing = spec.reset_existing;
  policy->from = spec.from;
  policy->to = spec.to;
  policy->ports = spec.ports;
  policy->hits = definition.hits;
  return policy;
}

}  // namespace

void NetworkManager::Create(PolicyCreation creation, PolicyDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!creation.validate_only)
    done = policy_answers_.Enter(creation.request_id, creation.request_hash, std::move(done));
  if (!done) return;
  std::vector<FieldViolation> violations = CheckIds(creation, "policy_id");
  Append(CheckPolicy(creation.spec), violations);
  if (!violations.empty()) return done(FieldsInvalid("policy " + Quoted(creation.id), violations));
  if (absl::Status fault = CheckUsable(creation.network); !fault.ok()) return done(std::move(fault));
  Network& network = networks_.at(creation.network);
  if (const auto same = network.policies.find(creation.id); same != network.policies.end()) {
    return done(DefinitionExists("POLICY_EXISTS", "kinsock.v1.Policy", *same->second));
  }
  if (policies_ >= kMaxPolicies) return done(QuotaExceeded("policies", kMaxPolicies, "delete some, or join some"));
  auto definition = Define<PolicyDefinition>(creation);
  definition->network = creation.network;
  definition->spec = std::move(creation.spec);
  if (creation.validate_only) return done(PolicyDefinitionPtr(std::move(definition)));
  if (!network.changing.insert(creation.id).second) return done(ConcurrentChange(definition->name()));
  ++policies_;
  JournalEntry entry;
  entry.put_policy = definition;
  NoteRequest(Kind::kPolicy, creation, definition->uid, entry);
  Commit(std::move(entry), !creation.configured,
         [this, definition, done = std::move(done)](absl::Status written) mutable {
           Network& in = networks_.at(definition->network);
           in.changing.erase(definition->id);
           if (!written.ok()) {
             --policies_;
             return done(std::move(written));
           }
           in.policies[definition->id] = definition;
           Log(LogLevel::kInfo, "policy.created").With("policy", definition->name());
           Recompile(definition->network, [definition, done = std::move(done)]() mutable { done(definition); });
         });
}

void NetworkManager::Update(PolicyUpdate update, PolicyDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!update.validate_only) done = policy_answers_.Enter(update.request_id, update.request_hash, std::move(done));
  if (!done) return;
  absl::StatusOr<PolicyDefinitionPtr> found = Get(update.network, update.id);
  if (!found.ok()) return done(found.status());
  const PolicyDefinition& current = **found;
  if (absl::Status fault = CheckChange(current, update); !fault.ok()) return done(std::move(fault));
  absl::StatusOr<PolicySpec> spec = update.change(current.spec);
  if (!spec.ok()) return done(spec.status());
  std::vector<FieldViolation> violations = CheckPolicy(*spec);
  CheckRequestId(update.request_id, violations);
  if (!violations.empty()) return done(FieldsInvalid(current.name(), violations));
  if (*spec == current.spec) return done(*found);
  auto next = std::make_shared<PolicyDefinition>(current);
  next->spec = *std::move(spec);
  ++next->generation;
  if (update.validate_only) return done(PolicyDefinitionPtr(std::move(next)));
  Network& network = networks_.at(update.network);
  if (network.deleting || !network.changing.insert(update.id).second) return done(ConcurrentChange(current.name()));
  JournalEntry entry;
  entry.put_policy = next;
  NoteRequest(Kind::kPolicy, update, next->uid, entry);
  Commit(std::move(entry), !next->configured, [this, next, done = std::move(done)](absl::Status written) mutable {
    Network& in = networks_.at(next->network);
    in.changing.erase(next->id);
    if (!written.ok()) return done(std::move(written));
    in.policies[next->id] = next;
    Log(LogLevel::kInfo, "policy.updated").With("policy", next->name()).With("generation", next->generation);
    Recompile(next->network, [next, done = std::move(done)]() mutable { done(next); });
  });
}

void NetworkManager::Delete(PolicyDeletion deletion, PolicyDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!deletion.validate_only)
    done = policy_answers_.Enter(deletion.request_id, deletion.request_hash, std::move(done));
  if (!done) return;
  absl::StatusOr<PolicyDefinitionPtr> found = Get(deletion.network, deletion.id);
  if (!found.ok()) return deletion.allow_missing ? done(PolicyDefinitionPtr()) : done(found.status());
  if (absl::Status fault = CheckChange(**found, deletion); !fault.ok()) return done(std::move(fault));
  if (deletion.validate_only) return done(*found);
  Network& network = networks_.at(deletion.network);
  if (network.deleting || !network.changing.insert(deletion.id).second) return done(ConcurrentChange((*found)->name()));
  JournalEntry entry;
  entry.erase_policy = *found;
  NoteRequest(Kind::kPolicy, deletion, (*found)->uid, entry);
  Commit(std::move(entry), !(*found)->configured,
         [this, last = *found, done = std::move(done)](absl::Status written) mutable {
           Network& in = networks_.at(last->network);
           in.changing.erase(last->id);
           if (!written.ok()) return done(std::move(written));
           in.policies.erase(last->id);
           --policies_;
           Log(LogLevel::kInfo, "policy.deleted").With("policy", last->name());
           Recompile(last->network, [last, done = std::move(done)]() mutable { done(last); });
         });
}

absl::StatusOr<PolicyDefinitionPtr> NetworkManager::Get(const std::string& network, const std::string& id) const {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return PolicyNotFound(network, id);
  const auto policy = found->second.policies.find(id);
  if (policy == found->second.policies.end()) return PolicyNotFound(network, id);
  return policy->second;
}

absl::StatusOr<std::vector<PolicyDefinitionPtr>> NetworkManager::List(const std::string& network,
                                                                      const std::string& after, size_t max) const {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return NotFound(network);
  const auto& policies = found->second.policies;
  std::vector<PolicyDefinitionPtr> list;
  for (auto policy = policies.upper_bound(after); policy != policies.end() && list.size() < max; ++policy) {
    list.push_back(policy->second);
  }
  return list;
}

// Has the reactors go by what the network's policies are now, once for all changes of this turn of the loop. `told`:
// they do.
void NetworkManager::Recompile(const std::string& id, EventLoop::Task told) {
  Network& network = networks_.at(id);
  network.when_told.push_back(std::move(told));
  if (std::exchange(network.dirty, true)) return;
  loop_.Post([this, id] { CompileNow(id); });
}

void NetworkManager::CompileNow(const std::string& id) {
  const auto found = networks_.find(id);
  if (found == networks_.end()) return;
  Network& network = found->second;
  if (!std::exchange(network.dirty, false)) return;
  std::vector<std::shared_ptr<const Policy>> policies;
  policies.reserve(network.policies.size());
  for (const auto& [policy_id, definition] : network.policies) policies.push_back(ToPolicy(*definition));
  network.compiled =
      std::make_shared<const PolicySet>(std::move(policies), network.definition->spec.otherwise, network.hits);
  pool_.SetPolicies(network.number, network.compiled, [waiting = std::exchange(network.when_told, {})]() mutable {
    for (EventLoop::Task& told : waiting) told();
  });
}

absl::StatusOr<NetworkManager::Test> NetworkManager::TestPolicy(const std::string& network, const VmIdentity* from,
                                                                const VmIdentity* to, uint32_t port) const {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return NotFound(network);
  const PolicySet& set = *found->second.compiled;
  const auto source = from != nullptr ? set.Identify(*from) : nullptr;
  const auto target = to != nullptr ? set.Identify(*to) : nullptr;
  const PolicyVerdict verdict = set.Decide(source.get(), target.get(), port);
  return Test{.allowed = verdict.allowed,
              .policy = verdict.policy != nullptr ? verdict.policy->name : "",
              .otherwise = set.otherwise()};
}

}  // namespace kinsock
