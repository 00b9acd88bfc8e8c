// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_NETWORK_MANAGER_H_
#define KINSOCK_SERVER_MANAGER_NETWORK_MANAGER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "router/network.h"
#include "router/policy_set.h"
#include "server/manager/answers.h"
#include "server/manager/cid_allocator.h"
#include "server/manager/vm_journal.h"
#include "server/model/network.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {

// A reservation as somebody asks for it. Plain value.
struct CidReservation {
  std::string network;  // id
  CidRequest cid;
  std::string holder;
  std::chrono::milliseconds time{0};
  std::string request_id;
  uint64_t request_hash = 0;
  bool validate_only = false;
};

// The same of its end; also of a CID that rests, with `force`.
struct CidRelease {
  std::string network;  // id
  Cid cid = 0;
  bool force = false;
  std::string request_id;
  uint64_t request_hash = 0;
  bool validate_only = false;
};

// A CID of a network that is not free, for a person.
struct CidLease {
  std::string network;  // id
  CidAllocator::Lease lease;
};

// The networks of the daemon, their policies and their CIDs, and the one place where they change. "default" is always
// there. A change goes into the journal first, then to the reactors, then to whoever asked for it; several changes of a
// network's policies that come at the same time are one for the reactors.
//
// Thread: main. Callbacks run there, some before the call that takes them returns. The pool must be gone, or have no
// callback under way, when the manager goes.
class NetworkManager {
 public:
  // Networks in the daemon: each has a route table in every reactor. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxNetworks = 1024;
  // Policies in the daemon: a VM has two bits for each of its network (docs/adr/0015-policies-as-bits.md). Beyond:
  // QUOTA_EXCEEDED.
  static constexpr size_t kMaxPolicies = 16384;

  using NetworkDone = absl::AnyInvocable<void(absl::StatusOr<NetworkSnapshot>)>;
  using PolicyDone = absl::AnyInvocable<void(absl::StatusOr<PolicyDefinitionPtr>)>;
  using CidDone = absl::AnyInvocable<void(absl::StatusOr<CidLease>)>;

  // None is owned; all outlive the manager.
  NetworkManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, VmJournal& journal);
  NetworkManager(const NetworkManager&) = delete;
  NetworkManager& operator=(const NetworkManager&) = delete;

  // Takes over what an earlier start of the daemon has left, but for what the configuration says now; `promised`: CIDs
  // that it gives to VMs, by network. Before anything else.
  void Restore(const SavedState& saved, const std::set<std::pair<std::string, Cid>>& promised);

  // `done`: the journal knows it and every reactor goes by it, or nothing has changed.
  void Create(NetworkCreation creation, NetworkDone done);
  void Update(NetworkUpdate update, NetworkDone done);
  void Delete(NetworkDeletion deletion, NetworkDone done);  // a snapshot without definition: there was none
  void Create(PolicyCreation creation, PolicyDone done);
  void Update(PolicyUpdate update, PolicyDone done);
  void Delete(PolicyDeletion deletion, PolicyDone done);  // null: there was none

  absl::StatusOr<NetworkSnapshot> Get(const std::string& id) const;
  absl::StatusOr<PolicyDefinitionPtr> Get(const std::string& network, const std::string& id) const;
  // In the order of their ids, from the first after `after` on, at most `max`.
  std::vector<NetworkSnapshot> List(const std::string& after, size_t max) const;
  absl::StatusOr<std::vector<PolicyDefinitionPtr>> List(const std::string& network, const std::string& after,
                                                        size_t max) const;

  // What would be decided about a connection; null stands for the host. NETWORK_NOT_FOUND.
  struct Test {
    bool allowed = false;
    std::string policy;  // name; empty: the default
    DefaultPolicy otherwise = DefaultPolicy::kSharedGroup;
  };
  absl::StatusOr<Test> TestPolicy(const std::string& network, const VmIdentity* from, const VmIdentity* to,
                                  uint32_t port) const;

  // --- CIDs ---

  void Reserve(CidReservation reservation, CidDone done);
  void Release(CidRelease release, CidDone done);  // as it was
  absl::StatusOr<std::vector<CidLease>> ListCids(const std::string& network, Cid after, size_t max);
  size_t resting_cids();

  // --- For the VM manager, about the network of a VM. ---

  // NOT_FOUND NETWORK_NOT_FOUND; FAILED_PRECONDITION NETWORK_DELETING.
  absl::Status CheckUsable(const std::string& id) const;
  // Those of a network that is not there are those of the default one, which a VM that was saved may meet when a
  // configuration has changed.
  CidAllocator& CidsOf(const std::string& id);
  // A VM that was restored has its CID from here on, unless that is promised to another one (Restore()).
  void ClaimRestored(const SavedVm& vm, const std::set<std::pair<std::string, Cid>>& promised);
  // The CID that a VM which is to be made would get, without taking it. Errors of CheckUsable() and
  // CidAllocator::Peek().
  absl::StatusOr<Cid> PeekCid(const VmCreation& creation);
  NetworkId IdOf(const std::string& id) const;
  // What no VM of it gets more of; a copy.
  Quota QuotaOf(const std::string& id) const;
  // Called when the quota of a network has become another; it calls `done` when that holds for each VM. Null: nobody.
  using OnQuota = std::function<void(const std::string& id, EventLoop::Task done)>;
  void SetOnQuota(OnQuota on_quota) { on_quota_ = std::move(on_quota); }
  bool Exists(const std::string& id) const { return networks_.count(id) > 0; }
  // As long as VMs are in it, a network stays.
  void AddVm(const std::string& id);
  void RemoveVm(const std::string& id);

  // From here on nothing changes.
  void Close() { closed_ = true; }

 private:
  struct Network {
    NetworkDefinitionPtr definition;
    NetworkId number = kDefaultNetwork;
    std::unique_ptr<CidAllocator> cids;
    std::shared_ptr<DefaultHits> hits = std::make_shared<DefaultHits>();
    std::shared_ptr<const PolicySet> compiled;
    std::map<std::string, PolicyDefinitionPtr> policies;  // by id
    std::set<std::string> changing;                       // ids of policies, "": the network itself
    size_t vms = 0;
    bool made = true;  // false: it is being written for the first time
    bool deleting = false;
    bool dirty = false;                      // policies are to be made ready for the reactors
    std::vector<EventLoop::Task> when_told;  // run when they have been
  };

  using Kind = AnsweredObjectRequest::Kind;

  void Commit(JournalEntry entry, bool saved, VmJournal::Done done);
  static void NoteRequest(Kind kind, const MutationRequest& request, const std::string& uid, JournalEntry& entry);
  void RememberAnswers(const SavedState& saved);
  NetworkSnapshot AnswerAboutNetwork(const AnsweredObjectRequest& request) const;
  PolicyDefinitionPtr AnswerAboutPolicy(const AnsweredObjectRequest& request) const;
  CidLease AnswerAboutCid(const AnsweredObjectRequest& request);
  void TakeOver(Network& network, NetworkCreation creation, NetworkDone done);
  void LetDefaultGo(Network& network, NetworkDone done);
  void Become(Network& network, std::shared_ptr<NetworkDefinition> next, JournalEntry entry, bool saved,
              NetworkDone done);
  NetworkSnapshot Look(const Network& network) const;
  Network& Add(NetworkDefinitionPtr definition);
  void Recompile(const std::string& id, EventLoop::Task told);
  void CompileNow(const std::string& id);
  void ApplyQuota(const std::string& id, EventLoop::Task then);
  static absl::Status NotFound(const std::string& id);
  absl::StatusOr<Network*> Find(const std::string& id);

  EventLoop& loop_;
  const Clock& clock_;
  ReactorPool& pool_;
  VmJournal& journal_;
  OnQuota on_quota_;
  bool closed_ = false;
  NetworkId next_number_ = kDefaultNetwork;
  std::map<std::string, Network> networks_;  // by id
  size_t policies_ = 0;
  Answers<NetworkSnapshot> network_answers_;
  Answers<PolicyDefinitionPtr> policy_answers_;
  Answers<CidLease> cid_answers_;
  Answers<CidLease> release_answers_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_NETWORK_MANAGER_H_
