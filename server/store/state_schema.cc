// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_schema.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kinsock {
namespace {

// 1: VMs and the CIDs that they have, had, and will get.
//
// `definition` is a kinsock.v1.Vm (vm_record.h), `checksum` is of it: SQLite notices a damaged page only where that
// makes no sense as a page. `cid` stands in the definition, too; here it makes sure that no two VMs have one.
// `rests_until` is of the wall clock, in milliseconds since 1970: the monotonic one does not outlive the machine.
constexpr char kVmsAndCids[] = R"sql(
CREATE TABLE vms (
  uid TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  cid INTEGER NOT NULL UNIQUE CHECK (cid BETWEEN 3 AND 4294967294),
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE resting_cids (
  cid INTEGER NOT NULL PRIMARY KEY CHECK (cid BETWEEN 3 AND 4294967294),
  holder TEXT NOT NULL,
  rests_until INTEGER NOT NULL
) STRICT;
CREATE INDEX resting_cids_by_end ON resting_cids (rests_until);
CREATE TABLE cid_cursors (
  kind TEXT NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL CHECK (last BETWEEN 0 AND 4294967294)
) STRICT;
)sql";

// 2: requests with a request_id that were carried out, oldest first by `seq`, and about which VM.
constexpr char kRequests[] = R"sql(
CREATE TABLE requests (
  seq INTEGER NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  hash INTEGER NOT NULL,
  vm_id TEXT NOT NULL,
  vm_uid TEXT NOT NULL,
  cid INTEGER NOT NULL,
  forget_at INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_by_end ON requests (forget_at);
)sql";

// 3: networks, each with its own CIDs, and policies. `definition` is a kinsock.v1.Network or Policy (network_record.h);
// a CID is one of its network from here on. What was there is of the default network.
constexpr char kNetworks[] = R"sql(
CREATE TABLE networks (
  id TEXT NOT NULL PRIMARY KEY,
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE policies (
  network TEXT NOT NULL,
  id TEXT NOT NULL,
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (network, id)
) STRICT;
CREATE TABLE vms_3 (
  uid TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  network TEXT NOT NULL,
  cid INTEGER NOT NULL CHECK (cid BETWEEN 3 AND 4294967294),
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  UNIQUE (network, cid)
) STRICT;
INSERT INTO vms_3 SELECT uid, id, 'default', cid, definition, checksum FROM vms;
DROP TABLE vms;
ALTER TABLE vms_3 RENAME TO vms;
CREATE TABLE resting_cids_3 (
  network TEXT NOT NULL,
  cid INTEGER NOT NULL CHECK (cid BETWEEN 3 AND 4294967294),
  holder TEXT NOT NULL,
  rests_until INTEGER NOT NULL,
  PRIMARY KEY (network, cid)
) STRICT;
INSERT INTO resting_cids_3 SELECT 'default', cid, holder, rests_until FROM resting_cids;
DROP TABLE resting_cids;
ALTER TABLE resting_cids_3 RENAME TO resting_cids;
CREATE INDEX resting_cids_by_end ON resting_cids (rests_until);
CREATE TABLE cid_cursors_3 (
  network TEXT NOT NULL,
  kind TEXT NOT NULL,
  last INTEGER NOT NULL CHECK (last BETWEEN 0 AND 4294967294),
  PRIMARY KEY (network, kind)
) STRICT;
INSERT INTO cid_cursors_3 SELECT 'default', kind, last FROM cid_cursors;
DROP TABLE cid_cursors;
ALTER TABLE cid_cursors_3 RENAME TO cid_cursors;
CREATE TABLE reserved_cids (
  network TEXT NOT NULL,
  cid INTEGER NOT NULL CHECK (cid BETWEEN 3 AND 4294967294),
  holder TEXT NOT NULL,
  reserved_until INTEGER NOT NULL,
  was_used INTEGER NOT NULL,
  PRIMARY KEY (network, cid)
) STRICT;
CREATE INDEX reserved_cids_by_end ON reserved_cids (reserved_until);
)sql";

// 4: forwards, each of a VM by its id, which may be one of the configuration file. `definition` is a kinsock.v1.Forward
// (forward_record.h). Requests that were about something else than a VM are as those of 2; `kind` is that of
// AnsweredObjectRequest.
constexpr char kForwards[] = R"sql(
CREATE TABLE forwards (
  id TEXT NOT NULL PRIMARY KEY,
  vm TEXT NOT NULL,
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX forwards_by_vm ON forwards (vm);
CREATE TABLE object_requests (
  seq INTEGER NOT NULL PRIMARY KEY,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 5),
  id TEXT NOT NULL,
  hash INTEGER NOT NULL,
  network TEXT NOT NULL,
  object TEXT NOT NULL,
  uid TEXT NOT NULL,
  forget_at INTEGER NOT NULL,
  UNIQUE (kind, id)
) STRICT;
CREATE INDEX object_requests_by_end ON object_requests (forget_at);
)sql";

constexpr const char* kMigrations[] = {kVmsAndCids, kRequests, kNetworks, kForwards};

}  // namespace

std::span<const char* const> StateMigrations() { return kMigrations; }

absl::Status MigrateState(Sqlite& db, int64_t to) {
  KINSOCK_ASSIGN_OR_RETURN(int64_t version, db.Number("PRAGMA user_version"));
  if (version < 0 || version > to) {
    return absl::FailedPreconditionError(
        absl::StrCat("has schema version ", version, ", and this kinsockd knows 1 to ", to));
  }
  while (version < to) {
    // The version is part of the transaction: a migration that is interrupted has not been.
    const std::string sql = absl::StrCat("BEGIN IMMEDIATE;", StateMigrations()[static_cast<size_t>(version)],
                                         ";PRAGMA user_version=", version + 1, ";COMMIT");
    if (absl::Status failed = db.Execute(sql); !failed.ok()) {
      if (db.in_transaction()) db.Execute("ROLLBACK").IgnoreError();
      return failed;
    }
    ++version;
  }
  return absl::OkStatus();
}

}  // namespace kinsock
