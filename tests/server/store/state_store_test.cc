// SPDX-License-Identifier: Apache-2.0
//
// The store as VmManager meets it: what is answered is there, what fails has not been. Real files, real SQLite.
#include "server/store/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"
#include "tests/server/store/state_fixture.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Files of this process can grow to so many bytes: the disk, as far as the store can tell.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

// The disk does not take what was written, as often as this says. SQLite's calls come here, as those of every library
// do.
std::atomic<int> failing_syncs = 0;

int Sync(int fd, long call) {
  if (failing_syncs > 0) {
    --failing_syncs;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(call, fd));
}

class StateStoreTest : public testing::StateFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(Open().ok()); }

  // What a start finds if the process ends at this moment: id -> CID.
  std::map<std::string, Cid> SavedAfterACrash() {
    namespace fs = std::filesystem;
    const std::string crashed = dir_ / "crashed";
    fs::remove_all(crashed);
    fs::create_directory(crashed);
    fs::permissions(crashed, fs::perms::owner_all);
    for (const char* const suffix : {"", "-wal"}) {
      fs::copy_file(path() + suffix, StateFile::PathIn(crashed) + suffix);
    }
    absl::StatusOr<std::unique_ptr<StateStore>> found = StateStore::Open(loop_, crashed);
    EXPECT_TRUE(found.ok()) << found.status();
    std::map<std::string, Cid> vms;
    if (!found.ok()) return vms;
    for (const SavedVm& vm : (*found)->TakeSaved().vms) vms[vm.definition->id] = vm.cid;
    return vms;
  }

  // Another program that writes to the file at this moment: the store has to wait.
  Sqlite Hold() {
    absl::StatusOr<Sqlite> other = Sqlite::Open(path(), Sqlite::Mode::kReadWrite);
    EXPECT_TRUE(other.ok() && other->Execute("BEGIN IMMEDIATE").ok());
    return *std::move(other);
  }
};

TEST_F(StateStoreTest, BeginsEmptyAndSaysThatItIsNew) {
  EXPECT_TRUE(store_->is_new());
  EXPECT_THAT(store_->TakeSaved().vms, IsEmpty());
  ASSERT_TRUE(Open().ok());
  EXPECT_FALSE(store_->is_new());
}

TEST_F(StateStoreTest, AVmComesBackAsItWas) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = "web-1";
  definition->uid = RandomUuid();
  definition->generation = 7;
  definition->create_time = WallTime(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  definition->labels = {{"tier", "web"}};
  definition->annotations = {{"note", std::string("zero \0 byte?", 4)}};
  definition->spec.cid = CidRequest::Range(100, 200);
  definition->spec.vhost_user_socket = "/run/web-1.sock";
  definition->spec.vsock_proxy = VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}};
  definition->spec.groups = {"a", "b"};
  definition->spec.queue_size = 128;
  definition->spec.tx_buffer_bytes = 4096;
  ASSERT_TRUE(Commit(Making({definition, 142})).ok());

  ASSERT_TRUE(Open().ok());
  const SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.vms.size(), 1u);
  const VmDefinition& back = *saved.vms[0].definition;
  EXPECT_EQ(saved.vms[0].cid, 142u);
  EXPECT_EQ(back.id, definition->id);
  EXPECT_EQ(back.uid, definition->uid);
  EXPECT_EQ(back.generation, 7);
  EXPECT_EQ(back.create_time, definition->create_time);
  EXPECT_EQ(back.labels, definition->labels);
  EXPECT_EQ(back.annotations, definition->annotations);
  EXPECT_EQ(back.spec, definition->spec);
  EXPECT_EQ(back.etag(), definition->etag());
}

TEST_F(StateStoreTest, AChangedVmComesBackChangedAndADeletedOneNot) {
  SavedVm vm = Vm("web", 42);
  ASSERT_TRUE(Commit(Making(vm)).ok());
  auto next = std::make_shared<VmDefinition>(*vm.definition);
  next->generation = 2;
  ASSERT_TRUE(Commit(Making({next, 42})).ok());
  ASSERT_TRUE(Open().ok());
  const SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.vms.size(), 1u);
  EXPECT_EQ(saved.vms[0].definition->generation, 2);

  JournalEntry end;
  end.erase_uid = vm.definition->uid;
  ASSERT_TRUE(Commit(std::move(end)).ok());
  EXPECT_THAT(Saved(), IsEmpty());
}

TEST_F(StateStoreTest, RestingCidsAndCursorsComeBack) {
  const WallTime now = std::chrono::system_clock::now();
  const WallTime until = std::chrono::floor<std::chrono::milliseconds>(now + std::chrono::seconds(60));
  JournalEntry entry;
  entry.rest = RestingCid{"default", 42, "vms/web", until};
  entry.cursors = {"default", CidCursors{.automatic = 1030, .in_range = 105}};
  ASSERT_TRUE(Commit(std::move(entry)).ok());

  ASSERT_TRUE(Open().ok());
  SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.resting.size(), 1u);
  EXPECT_EQ(saved.resting[0].cid, 42u);
  EXPECT_EQ(saved.resting[0].holder, "vms/web");
  EXPECT_EQ(saved.resting[0].until, until);
  EXPECT_EQ(saved.cursors["default"].automatic, 1030u);
  EXPECT_EQ(saved.cursors["default"].in_range, 105u);

  // Its VM comes back and takes it: it rests no more.
  ASSERT_TRUE(Commit(Making(Vm("web", 42))).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(store_->TakeSaved().resting, IsEmpty());
}

TEST_F(StateStoreTest, WhatHasRestedIsDropped) {
  const WallTime now = std::chrono::system_clock::now();
  JournalEntry old, young;
  old.rest = RestingCid{"default", 42, "vms/a", now - std::chrono::seconds(1)};
  young.rest = RestingCid{"default", 43, "vms/b", now + std::chrono::seconds(60)};
  ASSERT_TRUE(Commit(std::move(old)).ok());
  ASSERT_TRUE(Commit(std::move(young)).ok());
  ASSERT_TRUE(Open().ok());
  const SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.resting.size(), 1u);
  EXPECT_EQ(saved.resting[0].cid, 43u);
}

TEST_F(StateStoreTest, RequestsComeBackInTheirOrderUntilTheyAreForgotten) {
  const WallTime now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto ask = [&](const std::string& id, std::chrono::seconds left) {
    JournalEntry entry;
    entry.requests.push_back({id, 0xfedcba9876543210, "web", "uid", 42, now + left});
    ASSERT_TRUE(Commit(std::move(entry)).ok());
  };
  ask("late", std::chrono::seconds(-1));
  ask("b", std::chrono::hours(1));
  ask("a", std::chrono::hours(1));
  ASSERT_TRUE(Open().ok());
  const SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.requests.size(), 2u);
  EXPECT_EQ(saved.requests[0].id, "b");
  EXPECT_EQ(saved.requests[1].id, "a");
  EXPECT_EQ(saved.requests[1].hash, 0xfedcba9876543210);
  EXPECT_EQ(saved.requests[1].vm_id, "web");
  EXPECT_EQ(saved.requests[1].uid, "uid");
  EXPECT_EQ(saved.requests[1].cid, 42u);
  EXPECT_EQ(saved.requests[1].forget_at, now + std::chrono::hours(1));
}

TEST_F(StateStoreTest, TheOldestOfTooManyRequestsAreDropped) {
  JournalEntry entry;
  const WallTime later = std::chrono::system_clock::now() + std::chrono::hours(1);
  for (int64_t i = 0; i < StateTables::kMaxRequests + 10; ++i) {
    entry.requests.push_back({absl::StrCat(i), 1, "web", "uid", 42, later});
  }
  ASSERT_TRUE(Commit(std::move(entry)).ok());
  ASSERT_TRUE(Open().ok());
  const SavedState saved = store_->TakeSaved();
  ASSERT_EQ(saved.requests.size(), static_cast<size_t>(StateTables::kMaxRequests));
  EXPECT_EQ(saved.requests.front().id, "10");
}

TEST_F(StateStoreTest, WhatWaitsForTheDiskIsWrittenTogether) {
  std::vector<absl::Status> answers;
  {
    Sqlite holder = Hold();
    for (Cid cid = 100; cid < 200; ++cid) {
      store_->Commit(Making(Vm(absl::StrCat("vm-", cid), cid)),
                     [&](absl::Status status) { answers.push_back(std::move(status)); });
    }
    ASSERT_TRUE(holder.Execute("ROLLBACK").ok());
  }
  while (answers.size() < 100) loop_.RunOnce(std::chrono::milliseconds(1000));
  for (const absl::Status& answer : answers) EXPECT_TRUE(answer.ok()) << answer;
  // What was there when the store first looked, and the rest.
  EXPECT_LE(store_->stats().commits, 2u);
  EXPECT_EQ(store_->stats().entries, 100u);
  EXPECT_EQ(Saved().size(), 100u);
}

TEST_F(StateStoreTest, MoreThanFitsIsRefusedAtOnce) {
  size_t written = 0;
  absl::Status refusal;
  {
    Sqlite holder = Hold();
    for (size_t i = 0; i < StateStore::kMaxQueued; ++i) {
      JournalEntry entry;
      entry.cursors = {"default", CidCursors{}};
      store_->Commit(std::move(entry), [&](const absl::Status& status) { written += status.ok() ? 1 : 0; });
    }
    JournalEntry entry;
    entry.cursors = {"default", CidCursors{}};
    store_->Commit(std::move(entry), [&](absl::Status status) { refusal = std::move(status); });
    EXPECT_EQ(ErrorReason(refusal), "STORE_BUSY");
    EXPECT_EQ(refusal.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(store_->stats().refused_entries, 1u);
    ASSERT_TRUE(holder.Execute("ROLLBACK").ok());
  }
  while (written < StateStore::kMaxQueued) loop_.RunOnce(std::chrono::milliseconds(1000));
}

TEST_F(StateStoreTest, WhatIsQueuedAtTheEndIsWritten) {
  for (Cid cid = 100; cid < 150; ++cid) store_->Commit(Making(Vm(absl::StrCat("vm-", cid), cid)), [](absl::Status) {});
  EXPECT_EQ(Saved().size(), 50u);
}

TEST_F(StateStoreTest, AFullDiskFailsTheMutationAndNoOther) {
  ASSERT_TRUE(Commit(Making(Vm("before", 41))).ok());
  {
    FullDisk full(1);
    const absl::Status refused = Commit(Making(Vm("meanwhile", 42)));
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ErrorReason(refused), "STORE_FAILED");
    EXPECT_THAT(std::string(refused.message()), HasSubstr(path()));
    EXPECT_EQ(store_->stats().failed_entries, 1u);
    EXPECT_THAT(store_->stats().last_failure, HasSubstr("I/O error"));
  }
  // Room was made. The name and the CID are as free as before.
  EXPECT_TRUE(Commit(Making(Vm("meanwhile", 42))).ok());
  EXPECT_THAT(store_->stats().last_failure, IsEmpty());
  EXPECT_THAT(Saved(), ElementsAre(Pair("before", 41), Pair("meanwhile", 42)));
}

TEST_F(StateStoreTest, WhatTheDiskDidNotTakeIsNotThereAfterACrash) {
  ASSERT_TRUE(Commit(Making(Vm("before", 41))).ok());
  failing_syncs = 1;
  const absl::Status refused = Commit(Making(Vm("refused", 42)));
  EXPECT_EQ(ErrorReason(refused), "STORE_FAILED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("; nothing was changed: "));
  EXPECT_EQ(failing_syncs, 0);
  EXPECT_THAT(SavedAfterACrash(), ElementsAre(Pair("before", 41)));
}

TEST_F(StateStoreTest, WhatMayBeThereAfterACrashIsSaidToBe) {
  failing_syncs = 2;
  const absl::Status refused = Commit(Making(Vm("refused", 42)));
  EXPECT_EQ(ErrorReason(refused), "STORE_FAILED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("a restart may find it changed"));
  // It was tried again.
  ASSERT_TRUE(Commit(Making(Vm("another", 43))).ok());
  EXPECT_THAT(SavedAfterACrash(), ElementsAre(Pair("another", 43)));
}

TEST_F(StateStoreTest, ADiskThatFillsUpInTheMiddleLosesNothingThatWasAnswered) {
  std::map<std::string, Cid> answered;
  {
    FullDisk full(300'000);
    for (Cid cid = 100; cid < 400; ++cid) {
      SavedVm vm = Vm(absl::StrCat("vm-", cid), cid);
      if (Commit(Making(std::move(vm))).ok()) answered[absl::StrCat("vm-", cid)] = cid;
    }
    EXPECT_GT(store_->stats().failed_entries, 0u);
  }
  EXPECT_GT(answered.size(), 0u);
  EXPECT_EQ(Saved(), answered);
}

TEST_F(StateStoreTest, TheFileNeverHasOneCidTwiceAndTheNeighboursInTheTransactionAreWritten) {
  std::vector<std::string> answers;
  {
    Sqlite holder = Hold();
    const auto commit = [&](SavedVm vm) {
      store_->Commit(Making(std::move(vm)),
                     [&](const absl::Status& status) { answers.push_back(ErrorReason(status)); });
    };
    commit(Vm("a", 42));
    commit(Vm("b", 42));
    commit(Vm("c", 43));
    ASSERT_TRUE(holder.Execute("ROLLBACK").ok());
  }
  while (answers.size() < 3) loop_.RunOnce(std::chrono::milliseconds(1000));
  EXPECT_THAT(answers, ElementsAre("", "STORE_FAILED", ""));
  EXPECT_THAT(Saved(), ElementsAre(Pair("a", 42), Pair("c", 43)));
}

TEST_F(StateStoreTest, AnotherThatHoldsTheFileForLongFailsTheMutationOnly) {
  {
    Sqlite holder = Hold();
    EXPECT_EQ(ErrorReason(Commit(Making(Vm("web", 42)))), "STORE_FAILED");
  }
  EXPECT_TRUE(Commit(Making(Vm("web", 42))).ok());
}

}  // namespace

extern "C" {
int fsync(int fd) { return Sync(fd, SYS_fsync); }
int fdatasync(int fd) { return Sync(fd, SYS_fdatasync); }
}

}  // namespace kinsock
