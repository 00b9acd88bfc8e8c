// SPDX-License-Identifier: Apache-2.0
//
// Files that the daemon finds at its start: good ones, and all those on which it must not start.
#include "server/store/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"
#include "server/store/state_schema.h"
#include "server/store/state_tables.h"
#include "tests/server/store/state_fixture.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// What a file of this release becomes one of schema 3 with.
constexpr char kBackToSchema3[] = R"sql(
DROP TABLE forwards;
DROP TABLE object_requests;
PRAGMA user_version=3;
)sql";

// What one of schema 3 becomes one of schema 2 with: its tables as that release made them, word for word.
constexpr char kBackToSchema2[] = R"sql(
DROP TABLE networks;
DROP TABLE policies;
DROP TABLE reserved_cids;
ALTER TABLE vms RENAME TO new_vms;
CREATE TABLE vms (
  uid TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  cid INTEGER NOT NULL UNIQUE CHECK (cid BETWEEN 3 AND 4294967294),
  definition BLOB NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
INSERT INTO vms SELECT uid, id, cid, definition, checksum FROM new_vms;
DROP TABLE new_vms;
DROP INDEX resting_cids_by_end;
ALTER TABLE resting_cids RENAME TO new_resting_cids;
CREATE TABLE resting_cids (
  cid INTEGER NOT NULL PRIMARY KEY CHECK (cid BETWEEN 3 AND 4294967294),
  holder TEXT NOT NULL,
  rests_until INTEGER NOT NULL
) STRICT;
CREATE INDEX resting_cids_by_end ON resting_cids (rests_until);
INSERT INTO resting_cids SELECT cid, holder, rests_until FROM new_resting_cids;
DROP TABLE new_resting_cids;
ALTER TABLE cid_cursors RENAME TO new_cid_cursors;
CREATE TABLE cid_cursors (
  kind TEXT NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL CHECK (last BETWEEN 0 AND 4294967294)
) STRICT;
INSERT INTO cid_cursors SELECT kind, last FROM new_cid_cursors;
DROP TABLE new_cid_cursors;
PRAGMA user_version=2;
)sql";

class StateFileTest : public testing::StateFixture {
 protected:
  // A good file of some VMs, closed.
  void MakeGood() {
    ASSERT_TRUE(Open().ok());
    for (Cid cid = 100; cid < 150; ++cid) ASSERT_TRUE(Commit(Making(Vm(absl::StrCat("vm-", cid), cid))).ok());
    store_.reset();
  }

  static JournalEntry MakingForward(const std::string& id, const std::string& vm) {
    auto definition = std::make_shared<ForwardDefinition>();
    definition->id = id;
    definition->uid = RandomUuid();
    definition->create_time = WallTime(std::chrono::seconds(1'700'000'000));
    definition->spec = {.vm = "vms/" + vm,
                        .guest_port = 22,
                        .direction = Forward::Direction::kToGuest,
                        .listen = "unix:/run/ssh",
                        .target = "",
                        .access = SocketAccess{.owner = "0", .group = "", .mode = 0600, .uid = 0, .gid = {}},
                        .send_proxy_v2 = true};
    JournalEntry entry;
    entry.put_forward = std::move(definition);
    return entry;
  }

  // The start is refused in words that tell where, what and what to do; and the file is as it was.
  void ExpectRefused(const std::string& because) {
    const std::string before = Contents(path());
    const absl::Status refused = Open();
    EXPECT_EQ(ErrorReason(refused), "STATE_UNUSABLE") << refused;
    EXPECT_THAT(std::string(refused.message()),
                AllOf(HasSubstr(path()), HasSubstr(because), HasSubstr("move it"), HasSubstr("--state-dir")));
    EXPECT_TRUE(Contents(path()) == before);
  }

  static mode_t Mode(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(stat(path.c_str(), &found), 0);
    return found.st_mode & 0777;
  }

  // As another program, or another release, would.
  void Tamper(const std::string& sql) {
    absl::StatusOr<Sqlite> db = Sqlite::Open(path(), Sqlite::Mode::kReadWrite);
    ASSERT_TRUE(db.ok() && db->Execute(sql).ok());
  }
};

TEST_F(StateFileTest, IsForTheDaemonsUserAlone) {
  MakeGood();
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit(Making(Vm("web", 42))).ok());
  EXPECT_EQ(Mode(directory()), 0700u);
  EXPECT_EQ(Mode(path()), 0600u);
  EXPECT_EQ(Mode(path() + "-wal"), 0600u);
}

TEST_F(StateFileTest, ADirectoryWithoutParentOrForEverybodyIsRefused) {
  EXPECT_THAT(std::string(StateStore::Open(loop_, dir_ / "no/such").status().message()),
              AllOf(HasSubstr("cannot be made: No such file"), HasSubstr("another --state-dir")));
  ASSERT_EQ(mkdir(directory().c_str(), 0700), 0);
  ASSERT_EQ(chmod(directory().c_str(), 0777), 0);
  EXPECT_THAT(std::string(Open().message()), HasSubstr("can be written by everybody"));
}

TEST_F(StateFileTest, TwoDaemonsNeverShareOne) {
  ASSERT_TRUE(Open().ok());
  const absl::Status second = StateStore::Open(loop_, directory()).status();
  EXPECT_EQ(ErrorReason(second), "DAEMON_RUNNING");
  EXPECT_THAT(std::string(second.message()), HasSubstr("another state directory"));
}

TEST_F(StateFileTest, AStartThatDiedWhileItMadeTheFileIsBegunAgain) {
  ASSERT_EQ(mkdir(directory().c_str(), 0700), 0);
  Overwrite(path() + ".new", "half a fi");
  Overwrite(path() + ".new-journal", "and its journal");
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(store_->is_new());
  EXPECT_NE(access((path() + ".new").c_str(), F_OK), 0);
}

TEST_F(StateFileTest, AFileOfSchema2KeepsAllAndGetsNetworks) {
  const WallTime until =
      std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()) + std::chrono::hours(1);
  MakeGood();
  ASSERT_TRUE(Open().ok());
  JournalEntry more;
  more.rest = RestingCid{"default", 42, "vms/gone", until};
  more.cursors = {"default", CidCursors{.automatic = 1030, .in_range = 105}};
  more.requests.push_back({"r", 1, "vm-101", "uid", 101, until});
  ASSERT_TRUE(Commit(std::move(more)).ok());
  const std::map<std::string, Cid> vms = Saved();
  store_.reset();
  Tamper(absl::StrCat(kBackToSchema3, kBackToSchema2));

  ASSERT_TRUE(Open().ok());
  SavedState saved = store_->TakeSaved();
  std::map<std::string, Cid> found;
  for (const SavedVm& vm : saved.vms) found[vm.definition->id] = vm.cid;
  EXPECT_EQ(found, vms);
  EXPECT_THAT(saved.networks, IsEmpty());
  EXPECT_THAT(saved.policies, IsEmpty());
  EXPECT_THAT(saved.reserved, IsEmpty());
  ASSERT_EQ(saved.resting.size(), 1u);
  EXPECT_EQ(saved.resting[0].network, "default");
  EXPECT_EQ(saved.resting[0].cid, 42u);
  EXPECT_EQ(saved.resting[0].until, until);
  EXPECT_EQ(saved.cursors["default"].automatic, 1030u);
  EXPECT_EQ(saved.cursors["default"].in_range, 105u);
  ASSERT_EQ(saved.requests.size(), 1u);
  EXPECT_EQ(saved.requests[0].id, "r");

  auto network = std::make_shared<NetworkDefinition>();
  network->id = "lab";
  network->uid = RandomUuid();
  JournalEntry entry;
  entry.put_network = std::move(network);
  EXPECT_TRUE(Commit(std::move(entry)).ok());
  ASSERT_TRUE(Open().ok());
  saved = store_->TakeSaved();
  ASSERT_EQ(saved.networks.size(), 1u);
  EXPECT_EQ(saved.networks[0]->id, "lab");
  EXPECT_EQ(saved.vms.size(), vms.size());
  absl::StatusOr<Sqlite> db = Sqlite::Open(path(), Sqlite::Mode::kReadWrite);
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(*db->Number("PRAGMA user_version"), StateSchemaVersion());
}

TEST_F(StateFileTest, AFileOfSchema1KeepsItsVmsAndRemembersRequests) {
  MakeGood();
  const std::map<std::string, Cid> vms = Saved();
  store_.reset();
  Tamper(absl::StrCat(kBackToSchema3, kBackToSchema2, "DROP TABLE requests; PRAGMA user_version=1"));
  EXPECT_EQ(Saved(), vms);
  JournalEntry entry;
  entry.requests.push_back({"r", 1, "vm-101", "uid", 101, std::chrono::system_clock::now() + std::chrono::hours(1)});
  EXPECT_TRUE(Commit(std::move(entry)).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->TakeSaved().requests.size(), 1u);
}

TEST_F(StateFileTest, AFileOfSchema3KeepsAllAndGetsForwards) {
  MakeGood();
  ASSERT_TRUE(Open().ok());
  auto network = std::make_shared<NetworkDefinition>();
  network->id = "lab";
  network->uid = RandomUuid();
  JournalEntry more;
  more.put_network = std::move(network);
  more.requests.push_back({"r", 1, "vm-101", "uid", 101, std::chrono::system_clock::now() + std::chrono::hours(1)});
  ASSERT_TRUE(Commit(std::move(more)).ok());
  const std::map<std::string, Cid> vms = Saved();
  store_.reset();
  Tamper(kBackToSchema3);

  ASSERT_TRUE(Open().ok());
  SavedState saved = store_->TakeSaved();
  EXPECT_EQ(saved.vms.size(), vms.size());
  EXPECT_EQ(saved.networks.size(), 1u);
  EXPECT_EQ(saved.requests.size(), 1u);
  EXPECT_THAT(saved.forwards, IsEmpty());
  EXPECT_THAT(saved.object_requests, IsEmpty());
  ASSERT_TRUE(Commit(MakingForward("ssh", "vm-101")).ok());
  ASSERT_TRUE(Open().ok());
  saved = store_->TakeSaved();
  ASSERT_EQ(saved.forwards.size(), 1u);
  EXPECT_EQ(saved.forwards[0]->name(), "forwards/ssh");
}

TEST_F(StateFileTest, AForwardIsKeptAsItIs) {
  ASSERT_TRUE(Open().ok());
  JournalEntry entry = MakingForward("ssh", "web");
  const ForwardDefinitionPtr made = entry.put_forward;
  const WallTime later =
      std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()) + std::chrono::hours(1);
  entry.object_requests.push_back(
      {AnsweredObjectRequest::Kind::kForward, "r", 0xfedcba9876543210, "", "ssh", made->uid, later});
  ASSERT_TRUE(Commit(std::move(entry)).ok());
  ASSERT_TRUE(Commit(MakingForward("other", "db")).ok());
  ASSERT_TRUE(Open().ok());
  SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.forwards.size(), 2u);
  EXPECT_EQ(saved.forwards[1]->spec, made->spec);
  EXPECT_EQ(saved.forwards[1]->uid, made->uid);
  EXPECT_EQ(saved.forwards[1]->create_time, made->create_time);
  ASSERT_EQ(saved.object_requests.size(), 1u);
  EXPECT_EQ(saved.object_requests[0].hash, 0xfedcba9876543210);
  EXPECT_EQ(saved.object_requests[0].uid, made->uid);
  EXPECT_EQ(saved.object_requests[0].forget_at, later);

  // With the VM, in one entry.
  JournalEntry gone;
  gone.erase_forwards_of = "web";
  ASSERT_TRUE(Commit(std::move(gone)).ok());
  ASSERT_TRUE(Open().ok());
  saved = store_->TakeSaved();
  ASSERT_EQ(saved.forwards.size(), 1u);
  EXPECT_EQ(saved.forwards[0]->id, "other");
}

TEST_F(StateFileTest, ARowOfAForwardThatSaysSomethingElseIsRefused) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit(MakingForward("ssh", "web")).ok());
  store_.reset();
  Tamper("UPDATE forwards SET vm = 'db'");
  ExpectRefused("the row of forward \"ssh\" contradicts itself");
  Tamper("UPDATE forwards SET checksum = checksum + 1");
  ExpectRefused("the row of forward \"ssh\" does not have its checksum");
}

TEST_F(StateFileTest, EveryOlderSchemaBecomesThisOne) {
  for (int64_t version = 1; version <= StateSchemaVersion(); ++version) {
    SCOPED_TRACE(version);
    absl::StatusOr<Sqlite> db = Sqlite::Open(dir_ / absl::StrCat(version, ".db"), Sqlite::Mode::kCreate);
    ASSERT_TRUE(db.ok() && MigrateState(*db, version).ok());
    EXPECT_EQ(*db->Number("PRAGMA user_version"), version);
    EXPECT_TRUE(MigrateState(*db).ok());
    EXPECT_EQ(*db->Number("PRAGMA user_version"), StateSchemaVersion());
    EXPECT_TRUE(StateTables::Prepare(*db).ok());
  }
}

TEST_F(StateFileTest, ANewerSchemaIsRefused) {
  MakeGood();
  Tamper(absl::StrCat("PRAGMA user_version=", StateSchemaVersion() + 1));
  ExpectRefused("was written by a newer kinsockd");
}

TEST_F(StateFileTest, AnotherProgramsDatabaseIsRefused) {
  MakeGood();
  Tamper("PRAGMA application_id=7");
  ExpectRefused("is a database of another program");
}

TEST_F(StateFileTest, WhatIsNoDatabaseIsRefused) {
  MakeGood();
  Overwrite(path(), "vms: [{guest_cid: 3}]\n" + std::string(4096, '#'));
  ExpectRefused("file is not a database");
}

TEST_F(StateFileTest, AnEmptyFileIsNotANewOne) {
  MakeGood();
  Overwrite(path(), "");
  ExpectRefused("is empty");
}

TEST_F(StateFileTest, ALogWithoutItsFileIsRefused) {
  MakeGood();
  ASSERT_EQ(rename(path().c_str(), (path() + "-wal").c_str()), 0);
  ExpectRefused("is missing, but its -wal file is there");
  EXPECT_EQ(access((path() + "-wal").c_str(), F_OK), 0);
}

TEST_F(StateFileTest, ALinkIsNotFollowed) {
  MakeGood();
  const std::string elsewhere = dir_ / "elsewhere.db";
  ASSERT_EQ(rename(path().c_str(), elsewhere.c_str()), 0);
  ASSERT_EQ(symlink(elsewhere.c_str(), path().c_str()), 0);
  ExpectRefused("is not a regular file");
}

TEST_F(StateFileTest, ATruncatedFileIsRefusedWhereverItEnds) {
  MakeGood();
  const std::string good = Contents(path());
  for (size_t length = 1; length < good.size(); length += 1021) {
    SCOPED_TRACE(length);
    Overwrite(path(), good.substr(0, length));
    ExpectRefused("state file");
  }
}

TEST_F(StateFileTest, ARowThatSaysSomethingElseIsRefused) {
  MakeGood();
  Tamper("UPDATE vms SET definition = CAST(replace(definition, 'tier', 'tear') AS BLOB) WHERE cid = 101");
  ExpectRefused("the row of VM \"vm-101\" does not have its checksum");
}

TEST_F(StateFileTest, ARowThatContradictsItselfIsRefused) {
  MakeGood();
  Tamper("UPDATE vms SET cid = 7 WHERE cid = 101");
  ExpectRefused("the row of VM \"vm-101\" contradicts itself");
}

// Whatever is flipped: either the start is refused, or all VMs are there as they were.
//
// KINSOCK_DAMAGE_TRIALS: how often something is flipped (400).
TEST_F(StateFileTest, FlippedBitsNeverLoseOrChangeAVm) {
  MakeGood();
  const std::string good = Contents(path());
  const std::map<std::string, Cid> vms = Saved();
  ASSERT_EQ(vms.size(), 50u);
  store_.reset();
  std::mt19937 random(20260101);
  int refused = 0;
  const char* const wanted = std::getenv("KINSOCK_DAMAGE_TRIALS");
  const int trials = wanted != nullptr ? std::atoi(wanted) : 400;
  for (int trial = 0; trial < trials; ++trial) {
    std::string bad = good;
    const size_t at = random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    SCOPED_TRACE(absl::StrCat("byte ", at));
    for (const char* const suffix : {"-wal", "-shm"}) unlink((path() + suffix).c_str());
    Overwrite(path(), bad);
    if (const absl::Status status = Open(); !status.ok()) {
      EXPECT_EQ(ErrorReason(status), "STATE_UNUSABLE") << status;
      ++refused;
      continue;
    }
    std::map<std::string, Cid> found;
    for (const SavedVm& vm : store_->TakeSaved().vms) found[vm.definition->id] = vm.cid;
    EXPECT_EQ(found, vms);
    store_.reset();
  }
  // The rest fell on unused bytes: a page of each table and index that has hardly a row, and their rests.
  EXPECT_GT(refused, trials / 16);
  printf("%d trials, %d refused\n", trials, refused);
}

}  // namespace
}  // namespace kinsock
