// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_tables.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/store/forward_record.h"
#include "server/store/network_record.h"
#include "server/store/vm_record.h"

namespace kinsock {
namespace {

constexpr std::string_view kAutomatic = "automatic";
constexpr std::string_view kInRange = "range";

int64_t Milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime FromMilliseconds(int64_t milliseconds) { return WallTime(std::chrono::milliseconds(milliseconds)); }

}  // namespace

// Written over and over; what is read once is prepared where it is read.
struct StateTables::Statements {
  std::optional<SqliteStatement> put_vm, erase_vm, put_resting, erase_resting, erase_rested, put_reserved,
      erase_reserved, erase_expired, put_cursor, put_network, erase_network, put_policy, erase_policy, put_request,
      erase_late, erase_many, put_forward, erase_forward, erase_forwards_of, put_object_request,
      erase_late_object_requests, erase_many_object_requests;
  std::vector<SqliteStatement> erase_of_network;
};

absl::StatusOr<StateTables> StateTables::Prepare(Sqlite& db) {
  StateTables tables(db);
  tables.statements_ = std::make_shared<Statements>();
  const auto prepare = [&](std::optional<SqliteStatement>& into, std::string_view sql) -> absl::Status {
    KINSOCK_ASSIGN_OR_RETURN(into, SqliteStatement::Prepare(db, sql));
    return absl::OkStatus();
  };
  Statements& sql = *tables.statements_;
  // Not "INSERT OR REPLACE": that would make room for a second VM with one's name or CID by deleting the first.
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_vm,
              "INSERT INTO vms (uid, id, network, cid, definition, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
              "ON CONFLICT (uid) DO UPDATE SET cid = ?4, definition = ?5, checksum = ?6"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_vm, "DELETE FROM vms WHERE uid = ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_resting,
              "INSERT OR REPLACE INTO resting_cids (network, cid, holder, rests_until) VALUES (?1, ?2, ?3, ?4)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_resting, "DELETE FROM resting_cids WHERE network = ?1 AND cid = ?2"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_rested, "DELETE FROM resting_cids WHERE rests_until <= ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_reserved,
              "INSERT OR REPLACE INTO reserved_cids (network, cid, holder, reserved_until, was_used) "
              "VALUES (?1, ?2, ?3, ?4, ?5)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_reserved, "DELETE FROM reserved_cids WHERE network = ?1 AND cid = ?2"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_expired, "DELETE FROM reserved_cids WHERE reserved_until <= ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_cursor, "INSERT OR REPLACE INTO cid_cursors (network, kind, last) VALUES (?1, ?2, ?3)"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_network, "INSERT OR REPLACE INTO networks (id, definition, checksum) VALUES (?1, ?2, ?3)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_network, "DELETE FROM networks WHERE id = ?1"));
  KINSOCK_RETURN_IF_ERROR(prepare(
      sql.put_policy, "INSERT OR REPLACE INTO policies (network, id, definition, checksum) VALUES (?1, ?2, ?3, ?4)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_policy, "DELETE FROM policies WHERE network = ?1 AND id = ?2"));
  for (const char* table : {"policies", "resting_cids", "reserved_cids", "cid_cursors"}) {
    KINSOCK_ASSIGN_OR_RETURN(SqliteStatement erase,
                             SqliteStatement::Prepare(db, absl::StrCat("DELETE FROM ", table, " WHERE network = ?1")));
    sql.erase_of_network.push_back(std::move(erase));
  }
  KINSOCK_RETURN_IF_ERROR(prepare(sql.put_request,
                                  "INSERT OR REPLACE INTO requests (id, hash, vm_id, vm_uid, cid, forget_at) "
                                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_late, "DELETE FROM requests WHERE forget_at <= ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.erase_many, "DELETE FROM requests WHERE seq <= (SELECT max(seq) FROM requests) - ?1"));
  KINSOCK_RETURN_IF_ERROR(prepare(
      sql.put_forward, "INSERT OR REPLACE INTO forwards (id, vm, definition, checksum) VALUES (?1, ?2, ?3, ?4)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_forward, "DELETE FROM forwards WHERE id = ?1"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_forwards_of, "DELETE FROM forwards WHERE vm = ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_object_request,
              "INSERT OR REPLACE INTO object_requests (kind, id, hash, network, object, uid, forget_at) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_late_object_requests, "DELETE FROM object_requests WHERE forget_at <= ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.erase_many_object_requests,
              "DELETE FROM object_requests WHERE seq <= (SELECT max(seq) FROM object_requests) - ?1"));
  return tables;
}

absl::StatusOr<SavedState> StateTables::Read() {
  SavedState state;
  KINSOCK_RETURN_IF_ERROR(ReadNetworks(state));
  KINSOCK_RETURN_IF_ERROR(ReadVms(state));
  KINSOCK_RETURN_IF_ERROR(ReadCids(state));
  KINSOCK_RETURN_IF_ERROR(ReadRequests(state));
  KINSOCK_RETURN_IF_ERROR(ReadForwards(state));
  KINSOCK_RETURN_IF_ERROR(ReadObjectRequests(state));
  return state;
}

absl::Status StateTables::ReadVms(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(*db_, "SELECT uid, id, cid, definition, checksum, network FROM vms ORDER BY id"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    const std::string uid = rows.Bytes(0), id = rows.Bytes(1), record = rows.Bytes(3);
    const auto damaged = [&](absl::string_view what) {
      return absl::DataLossError(absl::StrCat("is damaged: the row of VM ", Quoted(id), " ", what));
    };
    if (static_cast<int64_t>(StableHash(record)) != rows.Number(4)) return damaged("does not have its checksum");
    absl::StatusOr<SavedVm> vm = FromRecord(record);
    if (!vm.ok()) return damaged(vm.status().message());
    if (vm->definition->uid != uid || vm->definition->id != id || vm->cid != rows.Number(2) ||
        NetworkOf(vm->definition->spec) != rows.Bytes(5)) {
      return damaged("contradicts itself");
    }
    state.vms.push_back(*std::move(vm));
  }
}

absl::Status StateTables::ReadNetworks(SavedState& state) {
  const auto damaged = [](absl::string_view what, const std::string& id, absl::string_view how) {
    return absl::DataLossError(absl::StrCat("is damaged: the row of ", what, " ", Quoted(id), " ", how));
  };
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement networks,
                           SqliteStatement::Prepare(*db_, "SELECT id, definition, checksum FROM networks ORDER BY id"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, networks.Step());
    if (!row) break;
    const std::string id = networks.Bytes(0), record = networks.Bytes(1);
    if (static_cast<int64_t>(StableHash(record)) != networks.Number(2)) {
      return damaged("network", id, "does not have its checksum");
    }
    absl::StatusOr<NetworkDefinitionPtr> network = NetworkFromRecord(record);
    if (!network.ok()) return damaged("network", id, network.status().message());
    if ((*network)->id != id) return damaged("network", id, "contradicts itself");
    state.networks.push_back(*std::move(network));
  }
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement policies,
      SqliteStatement::Prepare(*db_, "SELECT network, id, definition, checksum FROM policies ORDER BY network, id"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, policies.Step());
    if (!row) return absl::OkStatus();
    const std::string network = policies.Bytes(0), id = policies.Bytes(1), record = policies.Bytes(2);
    if (static_cast<int64_t>(StableHash(record)) != policies.Number(3)) {
      return damaged("policy", id, "does not have its checksum");
    }
    absl::StatusOr<PolicyDefinitionPtr> policy = PolicyFromRecord(record);
    if (!policy.ok()) return damaged("policy", id, policy.status().message());
    if ((*policy)->network != network || (*policy)->id != id) return damaged("policy", id, "contradicts itself");
    state.policies.push_back(*std::move(policy));
  }
}

absl::Status StateTables::ReadCids(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement resting,
      SqliteStatement::Prepare(*db_, "SELECT network, cid, holder, rests_until FROM resting_cids"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, resting.Step());
    if (!row) break;
    state.resting.push_back(
        {resting.Bytes(0), static_cast<Cid>(resting.Number(1)), resting.Bytes(2), FromMilliseconds(resting.Number(3))});
  }
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement reserved,
      SqliteStatement::Prepare(*db_, "SELECT network, cid, holder, reserved_until, was_used FROM reserved_cids"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, reserved.Step());
    if (!row) break;
    state.reserved.push_back({reserved.Bytes(0), static_cast<Cid>(reserved.Number(1)), reserved.Bytes(2),
                              FromMilliseconds(reserved.Number(3)), reserved.Number(4) != 0});
  }
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement cursors,
                           SqliteStatement::Prepare(*db_, "SELECT network, kind, last FROM cid_cursors"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, cursors.Step());
    if (!row) return absl::OkStatus();
    CidCursors& of_network = state.cursors[cursors.Bytes(0)];
    const std::string kind = cursors.Bytes(1);
    if (kind == kAutomatic) of_network.automatic = static_cast<Cid>(cursors.Number(2));
    if (kind == kInRange) of_network.in_range = static_cast<Cid>(cursors.Number(2));
  }
}

absl::Status StateTables::ReadRequests(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(*db_, "SELECT id, hash, vm_id, vm_uid, cid, forget_at FROM requests ORDER BY seq"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    state.requests.push_back({rows.Bytes(0), static_cast<uint64_t>(rows.Number(1)), rows.Bytes(2), rows.Bytes(3),
                              static_cast<Cid>(rows.Number(4)), FromMilliseconds(rows.Number(5))});
  }
}

absl::Status StateTables::ReadForwards(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(*db_, "SELECT id, vm, definition, checksum FROM forwards ORDER BY id"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    const std::string id = rows.Bytes(0), record = rows.Bytes(2);
    const auto damaged = [&](absl::string_view what) {
      return absl::DataLossError(absl::StrCat("is damaged: the row of forward ", Quoted(id), " ", what));
    };
    if (static_cast<int64_t>(StableHash(record)) != rows.Number(3)) return damaged("does not have its checksum");
    absl::StatusOr<ForwardDefinitionPtr> forward = ForwardFromRecord(record);
    if (!forward.ok()) return damaged(forward.status().message());
    if ((*forward)->id != id || (*forward)->spec.vm_id() != rows.Bytes(1)) return damaged("contradicts itself");
    state.forwards.push_back(*std::move(forward));
  }
  return absl::OkStatus();
}

absl::Status StateTables::ReadObjectRequests(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement requests,
      SqliteStatement::Prepare(
          *db_, "SELECT kind, id, hash, network, object, uid, forget_at FROM object_requests ORDER BY seq"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, requests.Step());
    if (!row) return absl::OkStatus();
    state.object_requests.push_back({static_cast<AnsweredObjectRequest::Kind>(requests.Number(0)), requests.Bytes(1),
                                     static_cast<uint64_t>(requests.Number(2)), requests.Bytes(3), requests.Bytes(4),
                                     requests.Bytes(5), FromMilliseconds(requests.Number(6))});
  }
}

absl::Status StateTables::Write(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  if (!entry.erase_uid.empty()) {
    KINSOCK_RETURN_IF_ERROR(sql.erase_vm->Bind(1, entry.erase_uid).Run());
  }
  if (entry.put.has_value()) {
    const std::string record = ToRecord(*entry.put);
    const VmDefinition& vm = *entry.put->definition;
    const std::string network = NetworkOf(vm.spec);
    KINSOCK_RETURN_IF_ERROR(sql.put_vm->Bind(1, vm.uid)
                                .Bind(2, vm.id)
                                .Bind(3, network)
                                .Bind(4, entry.put->cid)
                                .BindBlob(5, record)
                                .Bind(6, static_cast<int64_t>(StableHash(record)))
                                .Run());
    KINSOCK_RETURN_IF_ERROR(Release(network, entry.put->cid));
  }
  KINSOCK_RETURN_IF_ERROR(WriteNetworks(entry));
  KINSOCK_RETURN_IF_ERROR(WriteCids(entry, now));
  KINSOCK_RETURN_IF_ERROR(WriteForwards(entry));
  KINSOCK_RETURN_IF_ERROR(WriteObjectRequests(entry, now));
  return WriteRequests(entry, now);
}

absl::Status StateTables::WriteForwards(const JournalEntry& entry) {
  Statements& sql = *statements_;
  if (!entry.erase_forwards_of.empty()) {
    KINSOCK_RETURN_IF_ERROR(sql.erase_forwards_of->Bind(1, entry.erase_forwards_of).Run());
  }
  if (!entry.erase_forward.empty()) KINSOCK_RETURN_IF_ERROR(sql.erase_forward->Bind(1, entry.erase_forward).Run());
  if (entry.put_forward != nullptr) {
    const std::string record = ToRecord(*entry.put_forward);
    KINSOCK_RETURN_IF_ERROR(sql.put_forward->Bind(1, entry.put_forward->id)
                                .Bind(2, entry.put_forward->spec.vm_id())
                                .BindBlob(3, record)
                                .Bind(4, static_cast<int64_t>(StableHash(record)))
                                .Run());
  }
  return absl::OkStatus();
}

absl::Status StateTables::WriteObjectRequests(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  for (const AnsweredObjectRequest& request : entry.object_requests) {
    KINSOCK_RETURN_IF_ERROR(sql.put_object_request->Bind(1, static_cast<int64_t>(request.kind))
                                .Bind(2, request.id)
                                .Bind(3, static_cast<int64_t>(request.hash))
                                .Bind(4, request.network)
                                .Bind(5, request.object)
                                .Bind(6, request.uid)
                                .Bind(7, Milliseconds(request.forget_at))
                                .Run());
  }
  if (entry.object_requests.empty()) return absl::OkStatus();
  KINSOCK_RETURN_IF_ERROR(sql.erase_late_object_requests->Bind(1, Milliseconds(now)).Run());
  return sql.erase_many_object_requests->Bind(1, kMaxObjectRequests).Run();
}

absl::Status StateTables::WriteNetworks(const JournalEntry& entry) {
  Statements& sql = *statements_;
  if (!entry.erase_network.empty()) {
    KINSOCK_RETURN_IF_ERROR(sql.erase_network->Bind(1, entry.erase_network).Run());
    for (SqliteStatement& erase : sql.erase_of_network) {
      KINSOCK_RETURN_IF_ERROR(erase.Bind(1, entry.erase_network).Run());
    }
  }
  if (entry.put_network != nullptr) {
    const std::string record = ToRecord(*entry.put_network);
    KINSOCK_RETURN_IF_ERROR(sql.put_network->Bind(1, entry.put_network->id)
                                .BindBlob(2, record)
                                .Bind(3, static_cast<int64_t>(StableHash(record)))
                                .Run());
  }
  if (entry.erase_policy != nullptr) {
    KINSOCK_RETURN_IF_ERROR(
        sql.erase_policy->Bind(1, entry.erase_policy->network).Bind(2, entry.erase_policy->id).Run());
  }
  if (entry.put_policy == nullptr) return absl::OkStatus();
  const std::string record = ToRecord(*entry.put_policy);
  return sql.put_policy->Bind(1, entry.put_policy->network)
      .Bind(2, entry.put_policy->id)
      .BindBlob(3, record)
      .Bind(4, static_cast<int64_t>(StableHash(record)))
      .Run();
}

// The CID is neither reserved nor does it rest.
absl::Status StateTables::Release(const std::string& network, Cid cid) {
  KINSOCK_RETURN_IF_ERROR(statements_->erase_reserved->Bind(1, network).Bind(2, cid).Run());
  return statements_->erase_resting->Bind(1, network).Bind(2, cid).Run();
}

absl::Status StateTables::WriteCids(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  if (entry.release.has_value()) KINSOCK_RETURN_IF_ERROR(Release(entry.release->first, entry.release->second));
  if (entry.reserve.has_value()) {
    const ReservedCid& reserve = *entry.reserve;
    KINSOCK_RETURN_IF_ERROR(Release(reserve.network, reserve.cid));
    KINSOCK_RETURN_IF_ERROR(sql.put_reserved->Bind(1, reserve.network)
                                .Bind(2, reserve.cid)
                                .Bind(3, reserve.holder)
                                .Bind(4, Milliseconds(reserve.until))
                                .Bind(5, int64_t{reserve.was_used ? 1 : 0})
                                .Run());
    KINSOCK_RETURN_IF_ERROR(sql.erase_expired->Bind(1, Milliseconds(now)).Run());
  }
  if (entry.rest.has_value()) {
    KINSOCK_RETURN_IF_ERROR(sql.put_resting->Bind(1, entry.rest->network)
                                .Bind(2, entry.rest->cid)
                                .Bind(3, entry.rest->holder)
                                .Bind(4, Milliseconds(entry.rest->until))
                                .Run());
    KINSOCK_RETURN_IF_ERROR(sql.erase_rested->Bind(1, Milliseconds(now)).Run());
  }
  if (!entry.cursors.has_value()) return absl::OkStatus();
  const auto& [network, cursors] = *entry.cursors;
  KINSOCK_RETURN_IF_ERROR(sql.put_cursor->Bind(1, network).Bind(2, kAutomatic).Bind(3, cursors.automatic).Run());
  return sql.put_cursor->Bind(1, network).Bind(2, kInRange).Bind(3, cursors.in_range).Run();
}

absl::Status StateTables::WriteRequests(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  for (const AnsweredRequest& request : entry.requests) {
    KINSOCK_RETURN_IF_ERROR(sql.put_request->Bind(1, request.id)
                                .Bind(2, static_cast<int64_t>(request.hash))
                                .Bind(3, request.vm_id)
                                .Bind(4, request.uid)
                                .Bind(5, request.cid)
                                .Bind(6, Milliseconds(request.forget_at))
                                .Run());
  }
  if (entry.requests.empty()) return absl::OkStatus();
  KINSOCK_RETURN_IF_ERROR(sql.erase_late->Bind(1, Milliseconds(now)).Run());
  return sql.erase_many->Bind(1, kMaxRequests).Run();
}

}  // namespace kinsock
