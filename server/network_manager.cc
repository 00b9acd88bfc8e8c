// SPDX-License-Identifier: Apache-2.0
#include "server/network_manager.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/definitions.h"
#include "server/error.h"
#include "server/log.h"
#include "server/network_validation.h"
#include "server/text.h"
#include "server/vm_refusals.h"
#include "server/vm_validation.h"

namespace kinsock {
namespace {

absl::Status NetworkNotFound(const std::string& id) {
  return DefinitionNotFound("NETWORK_NOT_FOUND", "kinsock.v1.Network", "networks/" + id);
}

absl::Status PolicyNotFound(const std::string& network, const std::string& id) {
  return DefinitionNotFound("POLICY_NOT_FOUND", "kinsock.v1.Policy", "networks/" + network + "/policies/" + id);
}

std::shared_ptr<const Policy> ToPolicy(const PolicyDefinition& definition) {
  const PolicySpec& spec = definition.spec;
  auto policy = std::make_shared<Policy>();
  policy->name = definition.name();
  policy->priority = spec.priority;
  policy->allow = spec.allow;
  policy->reset_existing = spec.reset_existing;
  policy->from = spec.from;
  policy->to = spec.to;
  policy->ports = spec.ports;
  policy->hits = definition.hits;
  return policy;
}

}  // namespace

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
      found->second.cids->set_rules(definition->spec);
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

absl::StatusOr<NetworkManager::Network*> NetworkManager::Find(const std::string& id) {
  const auto found = networks_.find(id);
  if (found == networks_.end() || !found->second.made) return NetworkNotFound(id);
  return &found->second;
}

absl::Status NetworkManager::CheckUsable(const std::string& id) const {
  const auto found = networks_.find(id);
  if (found == networks_.end() || !found->second.made) return NetworkNotFound(id);
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

// --- Networks ---

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
    changed.cids->set_rules(next->spec);
    Log(LogLevel::kInfo, "network.updated").With("network", next->name()).With("generation", next->generation);
    EventLoop::Task told = [this, id = next->id, done = std::move(done)]() mutable { done(Get(id)); };
    if (!other_quota) return Recompile(next->id, std::move(told));
    ApplyQuota(next->id, std::move(told));
  });
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
  if (found == networks_.end() || !found->second.made) return NetworkNotFound(id);
  return Look(found->second);
}

std::vector<NetworkSnapshot> NetworkManager::List(const std::string& after, size_t max) const {
  std::vector<NetworkSnapshot> list;
  for (auto network = networks_.upper_bound(after); network != networks_.end() && list.size() < max; ++network) {
    if (network->second.made) list.push_back(Look(network->second));
  }
  return list;
}

// --- Policies ---

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
  if (found == networks_.end()) return NetworkNotFound(network);
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

// First the VMs, then the policies: the network may have gone when the VMs have been told.
void NetworkManager::ApplyQuota(const std::string& id, EventLoop::Task then) {
  EventLoop::Task applied = [this, id, then = std::move(then)]() mutable {
    Exists(id) ? Recompile(id, std::move(then)) : then();
  };
  on_quota_ ? on_quota_(id, std::move(applied)) : applied();
}

absl::StatusOr<NetworkManager::Test> NetworkManager::TestPolicy(const std::string& network, const VmIdentity* from,
                                                                const VmIdentity* to, uint32_t port) const {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return NetworkNotFound(network);
  const PolicySet& set = *found->second.compiled;
  const auto source = from != nullptr ? set.Identify(*from) : nullptr;
  const auto target = to != nullptr ? set.Identify(*to) : nullptr;
  const PolicyVerdict verdict = set.Decide(source.get(), target.get(), port);
  return Test{.allowed = verdict.allowed,
              .policy = verdict.policy != nullptr ? verdict.policy->name : "",
              .otherwise = set.otherwise()};
}

// --- CIDs ---

void NetworkManager::Reserve(CidReservation reservation, CidDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!reservation.validate_only) {
    done = cid_answers_.Enter(reservation.request_id, reservation.request_hash, std::move(done));
  }
  if (!done) return;
  if (absl::Status fault = CheckUsable(reservation.network); !fault.ok()) return done(std::move(fault));
  CidAllocator& cids = CidsOf(reservation.network);
  const CidLease lease{reservation.network,
                       {.cid = 0,
                        .state = CidAllocator::Lease::State::kReserved,
                        .holder = reservation.holder,
                        .left = reservation.time}};
  absl::StatusOr<Cid> cid = reservation.validate_only
                                ? cids.Peek(reservation.cid, "")
                                : cids.Reserve(reservation.cid, reservation.holder, reservation.time);
  if (!cid.ok()) return done(cid.status());
  CidLease reserved = lease;
  reserved.lease.cid = *cid;
  if (reservation.validate_only) return done(std::move(reserved));
  JournalEntry entry;
  entry.reserve = ReservedCid{reservation.network, *cid, reservation.holder,
                              std::chrono::system_clock::now() + reservation.time, cids.WouldRest(*cid)};
  entry.cursors = {reservation.network, cids.cursors()};
  NoteRequest(Kind::kCid,
              {.id = absl::StrCat(*cid),
               .network = reservation.network,
               .request_id = reservation.request_id,
               .request_hash = reservation.request_hash},
              reservation.holder, entry);
  Commit(std::move(entry), true, [this, reserved, done = std::move(done)](absl::Status written) mutable {
    if (written.ok()) return done(std::move(reserved));
    if (Exists(reserved.network)) CidsOf(reserved.network).ReleaseLease(reserved.lease.cid, false);
    done(std::move(written));
  });
}

void NetworkManager::Release(CidRelease release, CidDone done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!release.validate_only) {
    done = release_answers_.Enter(release.request_id, release.request_hash, std::move(done));
  }
  if (!done) return;
  if (absl::Status fault = CheckUsable(release.network); !fault.ok()) return done(std::move(fault));
  CidAllocator& cids = CidsOf(release.network);
  if (absl::Status fault = cids.CheckRelease(release.cid, release.force); !fault.ok()) return done(std::move(fault));
  const CidLease last{release.network, cids.List(release.cid - 1, 1).front()};
  if (release.validate_only) return done(last);
  JournalEntry entry;
  entry.release = {release.network, release.cid};
  if (cids.WouldRest(release.cid) && !release.force) {
    entry.rest =
        RestingCid{release.network, release.cid, last.lease.holder, std::chrono::system_clock::now() + cids.rest()};
  }
  NoteRequest(Kind::kRelease,
              {.id = absl::StrCat(release.cid),
               .network = release.network,
               .request_id = release.request_id,
               .request_hash = release.request_hash},
              last.lease.holder, entry);
  Commit(std::move(entry), true,
         [this, last, force = release.force, done = std::move(done)](absl::Status written) mutable {
           if (!written.ok()) return done(std::move(written));
           // A VM may have taken it meanwhile: then it is the VM's.
           if (Exists(last.network)) CidsOf(last.network).ReleaseLease(last.lease.cid, force);
           done(std::move(last));
         });
}

absl::StatusOr<std::vector<CidLease>> NetworkManager::ListCids(const std::string& network, Cid after, size_t max) {
  if (!Exists(network)) return NetworkNotFound(network);
  std::vector<CidLease> list;
  for (CidAllocator::Lease& lease : CidsOf(network).List(after, max)) list.push_back({network, std::move(lease)});
  return list;
}

size_t NetworkManager::resting_cids() {
  size_t count = 0;
  for (const auto& [id, network] : networks_) count += network.cids->resting();
  return count;
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
