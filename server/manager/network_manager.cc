// SPDX-License-Identifier: Apache-2.0
#include "server/manager/network_manager.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/log.h"
#include "server/manager/definitions.h"
#include "server/manager/vm_refusals.h"
#include "server/model/network_validation.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {

NetworkManager::NetworkManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, VmJournal& journal)
    : loop_(loop),
      clock_(clock),
      pool_(pool),
      journal_(journal),
      network_answers_(clock),
      policy_answers_(clock),
      cid_answers_(clock),
      release_answers_(clock) {
  auto definition = Define<NetworkDefinition>({.id = kDefaultNetworkId});
  Add(std::move(definition));
}

NetworkManager::Network& NetworkManager::Add(NetworkDefinitionPtr definition) {
  Network& network = networks_[definition->id];
  network.cids = std::make_unique<CidAllocator>(clock_, definition->spec);
  network.number = next_number_++;
  network.definition = std::move(definition);
  network.compiled = std::make_shared<const PolicySet>(std::vector<std::shared_ptr<const Policy>>(),
                                                       network.definition->spec.otherwise, network.hits);
  return network;
}

void NetworkManager::Restore(const SavedState& saved, const std::set<std::pair<std::string, Cid>>& promised) {
  loop_.thread().AssertHeld();
  for (const NetworkDefinitionPtr& definition : saved.networks) {
    const auto found = networks_.find(definition->id);
    if (found == networks_.end()) {
      Add(definition);
    } else if (!found->second.definition->configured) {
      found->second.definition = definition;
      found->second.cids->SetRules(definition->spec);
    }
  }
  for (const PolicyDefinitionPtr& policy : saved.policies) {
    const auto network = networks_.find(policy->network);
    if (network == networks_.end()) continue;
    policies_ += network->second.policies.emplace(policy->id, policy).second ? 1 : 0;
  }
  const auto now = std::chrono::system_clock::now();
  for (auto& [id, network] : networks_) {
    if (const auto cursors = saved.cursors.find(id); cursors != saved.cursors.end()) {
      network.cids->set_cursors(cursors->second);
    }
    // Before any device is there: none is ever served by less than what was saved.
    Recompile(id, [] {});
    CompileNow(id);
  }
  // Connections to the old machine did not outlive the daemon; and who writes the file has decided.
  for (const RestingCid& cid : saved.resting) {
    if (Exists(cid.network) && promised.count({cid.network, cid.cid}) == 0) {
      CidsOf(cid.network).Rest(cid.cid, cid.holder, cid.until - now);
    }
  }
  for (const ReservedCid& cid : saved.reserved) {
    if (Exists(cid.network) && promised.count({cid.network, cid.cid}) == 0) {
      CidsOf(cid.network).Restore(cid.cid, cid.holder, cid.until - now, cid.was_used);
    }
  }
  RememberAnswers(saved);
}

// What comes from the configuration file is there as long as the file says so.
void NetworkManager::Commit(JournalEntry entry, bool saved, VmJournal::Done done) {
  if (!saved) return done(absl::OkStatus());
  journal_.Commit(std::move(entry), std::move(done));
}

absl::Status NetworkManager::NotFound(const std::string& id) {
  return DefinitionNotFound("NETWORK_NOT_FOUND", "kinsock.v1.Network", "networks/" + id);
}

absl::StatusOr<NetworkManager::Network*> NetworkManager::Find(const std::string& id) {
  const auto found = networks_.find(id);
  if (found == networks_.end() || !found->second.made) return NotFound(id);
  return &found->second;
}

absl::Status NetworkManager::CheckUsable(const std::string& id) const {
  const auto found = networks_.find(id);
  if (found == networks_.end() || !found->second.made) return NotFound(id);
  if (!found->second.deleting) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "NETWORK_DELETING",
               absl::StrCat("networks/", id, " is being taken away"))
      .With("network", "networks/" + id)
      .RetryAfter(std::chrono::milliseconds(10));
}

NetworkSnapshot NetworkManager::Look(const Network& network) const {
  return {.definition = network.definition,
          .vms = network.vms,
          .policies = network.policies.size(),
          .default_allowed = network.hits->allowed.value(),
          .default_denied = network.hits->denied.value()};
}

void NetworkManager::Create(NetworkCreation creation, NetworkDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!creation.validate_only)
    done = network_answers_.Enter(creation.request_id, creation.request_hash, std::move(done));
  if (!done) return;
  std::vector<FieldViolation> violations = CheckIds(creation, "network_id");
  Append(CheckNetwork(creation.spec), violations);
  if (!violations.empty()) return done(FieldsInvalid("network " + Quoted(creation.id), violations));
  const auto same = networks_.find(creation.id);
  if (same != networks_.end() && creation.configured && !same->second.definition->configured) {
    return TakeOver(same->second, std::move(creation), std::move(done));
  }
  if (same != networks_.end()) {
    return done(DefinitionExists("NETWORK_EXISTS", "kinsock.v1.Network", *same->second.definition));
  }
  if (networks_.size() >= kMaxNetworks) return done(QuotaExceeded("networks", kMaxNetworks, "delete some"));
  auto definition = Define<NetworkDefinition>(creation);
  definition->spec = std::move(creation.spec);
  if (creation.validate_only) return done(NetworkSnapshot{.definition = std::move(definition)});
  // Its place is taken at once, and nobody sees it or is let into it before it is written.
  Network& added = Add(definition);
  added.changing.insert("");
  added.made = false;
  JournalEntry entry;
  entry.put_network = definition;
  NoteRequest(Kind::kNetwork, creation, definition->uid, entry);
  Commit(std::move(entry), !creation.configured,
         [this, id = definition->id, done = std::move(done)](absl::Status written) mutable {
           Network& made = networks_.at(id);
           made.changing.erase("");
           if (!written.ok()) {
             networks_.erase(id);
             return done(std::move(written));
           }
           made.made = true;
           Log(LogLevel::kInfo, "network.created").With("network", "networks/" + id);
           Recompile(id, [this, id, done = std::move(done)]() mutable { done(Get(id)); });
         });
}

// The file may say what a network is that is there already, as the default network always is.
void NetworkManager::TakeOver(Network& network, NetworkCreation creation, NetworkDone done) {
  auto next = std::make_shared<NetworkDefinition>(*network.definition);
  next->configured = true;
  next->spec = std::move(creation.spec);
  Become(network, std::move(next), JournalEntry(), false, std::move(done));
}

// The default network is always there: when the file has it no more, it is the API's, and as it is by default.
void NetworkManager::LetDefaultGo(Network& network, NetworkDone done) {
  auto next = std::make_shared<NetworkDefinition>(*network.definition);
  next->configured = false;
  next->spec = NetworkSpec();
  Become(network, std::move(next), JournalEntry(), true, std::move(done));
}

void NetworkManager::Update(NetworkUpdate update, NetworkDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!update.validate_only) done = network_answers_.Enter(update.request_id, update.request_hash, std::move(done));
  if (!done) return;
  absl::StatusOr<Network*> found = Find(update.id);
  if (!found.ok()) return done(found.status());
  Network& network = **found;
  if (absl::Status fault = CheckChange(*network.definition, update); !fault.ok()) return done(std::move(fault));
  absl::StatusOr<NetworkSpec> spec = update.change(network.definition->spec);
  if (!spec.ok()) return done(spec.status());
  std::vector<FieldViolation> violations = CheckNetwork(*spec);
  CheckRequestId(update.request_id, violations);
  if (!violations.empty()) return done(FieldsInvalid(network.definition->name(), violations));
  if (*spec == network.definition->spec) return done(Look(network));
  auto next = std::make_shared<NetworkDefinition>(*network.definition);
  next->spec = *std::move(spec);
  if (update.validate_only) {
    ++next->generation;
    NetworkSnapshot would_be = Look(network);
    would_be.definition = std::move(next);
    return done(std::move(would_be));
  }
  const bool saved = !next->configured;
  JournalEntry entry;
  NoteRequest(Kind::kNetwork, update, next->uid, entry);
  Become(network, std::move(next), std::move(entry), saved, std::move(done));
}

// `next`, of the next generation, is what the network is once the journal knows it, if it is to know.
void NetworkManager::Become(Network& network, std::shared_ptr<NetworkDefinition> next, JournalEntry entry, bool saved,
                            NetworkDone done) {
  if (network.deleting || !network.changing.insert("").second)
    return done(ConcurrentChange(network.definition->name()));
  ++next->generation;
  entry.put_network = next;
  Commit(std::move(entry), saved, [this, next, done = std::move(done)](absl::Status written) mutable {
    Network& changed = networks_.at(next->id);
    changed.changing.erase("");
    if (!written.ok()) return done(std::move(written));
    const bool other_quota = next->spec.quota != changed.definition->spec.quota;
    changed.definition = next;
    changed.cids->SetRules(next->spec);
    Log(LogLevel::kInfo, "network.updated").With("network", next->name()).With("generation", next->generation);
    EventLoop::Task told = [this, id = next->id, done = std::move(done)]() mutable { done(Get(id)); };
    if (!other_quota) return Recompile(next->id, std::move(told));
    ApplyQuota(next->id, std::move(told));
  });
}

// First the VMs, then the policies: the network may have gone when the VMs have been told.
void NetworkManager::ApplyQuota(const std::string& id, EventLoop::Task then) {
  EventLoop::Task applied = [this, id, then = std::move(then)]() mutable {
    Exists(id) ? Recompile(id, std::move(then)) : then();
  };
  on_quota_ ? on_quota_(id, std::move(applied)) : applied();
}

void NetworkManager::Delete(NetworkDeletion deletion, NetworkDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!deletion.validate_only)
    done = network_answers_.Enter(deletion.request_id, deletion.request_hash, std::move(done));
  if (!done) return;
  absl::StatusOr<Network*> found = Find(deletion.id);
  if (!found.ok()) return deletion.allow_missing ? done(NetworkSnapshot()) : done(found.status());
  Network& network = **found;
  if (absl::Status fault = CheckChange(*network.definition, deletion); !fault.ok()) return done(std::move(fault));
  if (deletion.id == kDefaultNetworkId && deletion.configured) return LetDefaultGo(network, std::move(done));
  const std::string name = network.definition->name();
  const auto in_use = [&](const std::string& by, const std::string& what_to_do) {
    return Error(absl::StatusCode::kFailedPrecondition, "NETWORK_IN_USE", absl::StrCat(name, " ", by, "; ", what_to_do))
        .With("vms", std::to_string(network.vms))
        .With("policies", std::to_string(network.policies.size()))
        .Precondition("NETWORK_IN_USE", name, what_to_do);
  };
  if (deletion.id == kDefaultNetworkId) return done(in_use("is always there", "leave it"));
  if (network.vms > 0) return done(in_use(absl::StrCat("has ", network.vms, " VMs"), "delete them first"));
  if (!network.policies.empty() && !deletion.force) {
    return done(in_use(absl::StrCat("has ", network.policies.size(), " policies"), "delete them first, or set force"));
  }
  const bool file_in_it = std::any_of(network.policies.begin(), network.policies.end(),
                                      [](const auto& policy) { return policy.second->configured; });
  if (file_in_it) return done(in_use("has policies of the configuration file", "take them out there first"));
  if (deletion.validate_only) return done(Look(network));
  if (network.deleting || !network.changing.empty()) return done(ConcurrentChange(name));
  network.deleting = true;
  JournalEntry entry;
  entry.erase_network = deletion.id;
  NoteRequest(Kind::kNetwork, deletion, network.definition->uid, entry);
  // Also when it is the file's, which may have taken it over from the API: it must not come back.
  Commit(std::move(entry), true, [this, id = deletion.id, done = std::move(done)](absl::Status written) mutable {
    Network& gone = networks_.at(id);
    gone.deleting = false;
    if (!written.ok()) return done(std::move(written));
    NetworkSnapshot last = Look(gone);
    policies_ -= gone.policies.size();
    pool_.RemoveNetwork(gone.number);
    std::vector<EventLoop::Task> waiting = std::move(gone.when_told);
    networks_.erase(id);
    Log(LogLevel::kInfo, "network.deleted").With("network", "networks/" + id);
    for (EventLoop::Task& task : waiting) task();
    done(std::move(last));
  });
}

absl::StatusOr<NetworkSnapshot> NetworkManager::Get(const std::string& id) const {
  const auto found = networks_.find(id);
  if (found == networks_.end() || !found->second.made) return NotFound(id);
  return Look(found->second);
}

std::vector<NetworkSnapshot> NetworkManager::List(const std::string& after, size_t max) const {
  std::vector<NetworkSnapshot> list;
  for (auto network = networks_.upper_bound(after); network != networks_.end() && list.size() < max; ++network) {
    if (network->second.made) list.push_back(Look(network->second));
  }
  return list;
}

// --- VMs ---

CidAllocator& NetworkManager::CidsOf(const std::string& id) {
  const auto found = networks_.find(id);
  return found != networks_.end() ? *found->second.cids : *networks_.at(kDefaultNetworkId).cids;
}

NetworkId NetworkManager::IdOf(const std::string& id) const {
  const auto found = networks_.find(id);
  return found != networks_.end() ? found->second.number : kDefaultNetwork;
}

Quota NetworkManager::QuotaOf(const std::string& id) const {
  const auto found = networks_.find(id);
  return found != networks_.end() ? found->second.definition->spec.quota : Quota();
}

void NetworkManager::AddVm(const std::string& id) {
  const auto found = networks_.find(id);
  if (found != networks_.end()) ++found->second.vms;
}

void NetworkManager::RemoveVm(const std::string& id) {
  const auto found = networks_.find(id);
  if (found != networks_.end()) --found->second.vms;
}

}  // namespace kinsock
