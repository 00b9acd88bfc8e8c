// SPDX-License-Identifier: Apache-2.0
//
// NetworkManager: CIDs that are reserved, that rest, and that VMs have.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_refusals.h"

namespace kinsock {

void NetworkManager::ClaimRestored(const SavedVm& vm, const std::set<std::pair<std::string, Cid>>& promised) {
  const std::string network = NetworkOf(vm.definition->spec);
  if (Exists(network) && promised.count({network, vm.cid}) == 0) CidsOf(network).Claim(vm.cid, vm.definition->name());
}

absl::StatusOr<Cid> NetworkManager::PeekCid(const VmCreation& creation) {
  const std::string network = NetworkOf(creation.spec);
  KINSOCK_RETURN_IF_ERROR(CheckUsable(network));
  CidAllocator& cids = CidsOf(network);
  // Who writes the file has decided, also about a CID that rests or is reserved.
  if (creation.configured && creation.spec.cid.kind == CidRequest::Kind::kFixed && !creation.validate_only) {
    cids.ReleaseLease(creation.spec.cid.first, true);
  }
  return cids.Peek(creation.spec.cid, "vms/" + creation.id);
}

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
  if (!Exists(network)) return NotFound(network);
  std::vector<CidLease> list;
  for (CidAllocator::Lease& lease : CidsOf(network).List(after, max)) list.push_back({network, std::move(lease)});
  return list;
}

size_t NetworkManager::resting_cids() {
  size_t count = 0;
  for (const auto& [id, network] : networks_) count += network.cids->resting();
  return count;
}

}  // namespace kinsock
