// SPDX-License-Identifier: Apache-2.0
#include "server/state_tables.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/stable_hash.h"
#include "server/text.h"
#include "server/vm_record.h"

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
  std::optional<SqliteStatement> put_vm, erase_vm, put_resting, erase_resting, erase_rested, put_cursor, put_request,
      erase_late, erase_many;
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
  KINSOCK_RETURN_IF_ERROR(prepare(sql.put_vm,
                                  "INSERT INTO vms (uid, id, cid, definition, checksum) VALUES (?1, ?2, ?3, ?4, ?5) "
                                  "ON CONFLICT (uid) DO UPDATE SET cid = ?3, definition = ?4, checksum = ?5"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_vm, "DELETE FROM vms WHERE uid = ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.put_resting, "INSERT OR REPLACE INTO resting_cids (cid, holder, rests_until) VALUES (?1, ?2, ?3)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_resting, "DELETE FROM resting_cids WHERE cid = ?1"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_rested, "DELETE FROM resting_cids WHERE rests_until <= ?1"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.put_cursor, "INSERT OR REPLACE INTO cid_cursors (kind, last) VALUES (?1, ?2)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.put_request,
                                  "INSERT OR REPLACE INTO requests (id, hash, vm_id, vm_uid, cid, forget_at) "
                                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  KINSOCK_RETURN_IF_ERROR(prepare(sql.erase_late, "DELETE FROM requests WHERE forget_at <= ?1"));
  KINSOCK_RETURN_IF_ERROR(
      prepare(sql.erase_many, "DELETE FROM requests WHERE seq <= (SELECT max(seq) FROM requests) - ?1"));
  return tables;
}

absl::StatusOr<SavedState> StateTables::Read() {
  SavedState state;
  KINSOCK_RETURN_IF_ERROR(ReadVms(state));
  KINSOCK_RETURN_IF_ERROR(ReadCids(state));
  KINSOCK_RETURN_IF_ERROR(ReadRequests(state));
  return state;
}

absl::Status StateTables::ReadVms(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(*db_, "SELECT uid, id, cid, definition, checksum FROM vms ORDER BY id"));
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
    if (vm->definition->uid != uid || vm->definition->id != id || vm->cid != rows.Number(2)) {
      return damaged("contradicts itself");
    }
    state.vms.push_back(*std::move(vm));
  }
}

absl::Status StateTables::ReadCids(SavedState& state) {
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement resting,
                           SqliteStatement::Prepare(*db_, "SELECT cid, holder, rests_until FROM resting_cids"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, resting.Step());
    if (!row) break;
    state.resting.push_back(
        {static_cast<Cid>(resting.Number(0)), resting.Bytes(1), FromMilliseconds(resting.Number(2))});
  }
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement cursors,
                           SqliteStatement::Prepare(*db_, "SELECT kind, last FROM cid_cursors"));
  while (true) {
    KINSOCK_ASSIGN_OR_RETURN(const bool row, cursors.Step());
    if (!row) return absl::OkStatus();
    const std::string kind = cursors.Bytes(0);
    if (kind == kAutomatic) state.cursors.automatic = static_cast<Cid>(cursors.Number(1));
    if (kind == kInRange) state.cursors.in_range = static_cast<Cid>(cursors.Number(1));
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

absl::Status StateTables::Write(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  if (!entry.erase_uid.empty()) {
    KINSOCK_RETURN_IF_ERROR(sql.erase_vm->Bind(1, entry.erase_uid).Run());
  }
  if (entry.put.has_value()) {
    const std::string record = ToRecord(*entry.put);
    const VmDefinition& vm = *entry.put->definition;
    KINSOCK_RETURN_IF_ERROR(sql.put_vm->Bind(1, vm.uid)
                                .Bind(2, vm.id)
                                .Bind(3, entry.put->cid)
                                .BindBlob(4, record)
                                .Bind(5, static_cast<int64_t>(StableHash(record)))
                                .Run());
    KINSOCK_RETURN_IF_ERROR(sql.erase_resting->Bind(1, entry.put->cid).Run());
  }
  KINSOCK_RETURN_IF_ERROR(WriteCids(entry, now));
  return WriteRequests(entry, now);
}

absl::Status StateTables::WriteCids(const JournalEntry& entry, WallTime now) {
  Statements& sql = *statements_;
  if (entry.rest.has_value()) {
    KINSOCK_RETURN_IF_ERROR(sql.put_resting->Bind(1, entry.rest->cid)
                                .Bind(2, entry.rest->holder)
                                .Bind(3, Milliseconds(entry.rest->until))
                                .Run());
    KINSOCK_RETURN_IF_ERROR(sql.erase_rested->Bind(1, Milliseconds(now)).Run());
  }
  if (!entry.cursors.has_value()) return absl::OkStatus();
  KINSOCK_RETURN_IF_ERROR(sql.put_cursor->Bind(1, kAutomatic).Bind(2, entry.cursors->automatic).Run());
  return sql.put_cursor->Bind(1, kInRange).Bind(2, entry.cursors->in_range).Run();
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
