// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_store.h"

#include <pthread.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "server/host/log.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// Whether it is the entry that cannot be written, not the disk that cannot be written to.
bool IsOfTheEntry(const absl::Status& status) { return absl::IsInternal(status); }

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(EventLoop& main, const std::string& directory) {
  KINSOCK_ASSIGN_OR_RETURN(StateFile opened, StateFile::Open(directory));
  auto file = std::make_unique<StateFile>(std::move(opened));
  std::string path = StateFile::PathIn(directory);
  absl::StatusOr<StateTables> tables = StateTables::Prepare(file->db);
  if (!tables.ok()) return StateUnusable(path, std::string(tables.status().message()));
  absl::StatusOr<SavedState> saved = tables->Read();
  if (!saved.ok()) return StateUnusable(path, std::string(saved.status().message()));
  return std::unique_ptr<StateStore>(
      new StateStore(main, std::move(file), std::move(path), *std::move(tables), *std::move(saved)));
}

StateStore::StateStore(EventLoop& main, std::unique_ptr<StateFile> file, std::string path, StateTables tables,
                       SavedState saved)
    : main_(main),
      file_(std::move(file)),
      path_(std::move(path)),
      saved_(std::move(saved)),
      tables_(std::move(tables)),
      queued_(Wakeup::Create(loop_, [this] { WriteQueued(); })),
      thread_([this] {
        pthread_setname_np(pthread_self(), "store");
        loop_.Run();
      }) {}

StateStore::~StateStore() {
  loop_.Post([this] {
    WriteQueued();
    queued_->Disarm();
    loop_.Stop();
  });
  thread_.join();
}

void StateStore::Commit(JournalEntry entry, Done done) {
  bool fits;
  {
    MutexLock lock(mutex_);
    fits = unfinished_ < kMaxQueued;
    if (fits) {
      ++unfinished_;
      queue_.push_back({std::move(entry), std::move(done), absl::OkStatus()});
    } else {
      ++stats_.refused_entries;
    }
  }
  if (fits) return queued_->Notify();
  done(Error(absl::StatusCode::kUnavailable, "STORE_BUSY",
             absl::StrCat("the disk does not keep up: ", kMaxQueued, " changes wait to be written to \"", path_,
                          "\"; nothing was changed, try again"))
           .RetryAfter(kRetryAfter));
}

// Store thread.
void StateStore::WriteQueued() {
  std::vector<Pending> batch;
  {
    MutexLock lock(mutex_);
    batch.swap(queue_);
  }
  if (batch.empty()) return;
  const MonotonicTime began = Clock::Monotonic().Now();
  const absl::Status result = Transact(batch);
  commit_times_.Add(Clock::Monotonic().Now() - began);
  if (!result.ok()) {
    for (Pending& pending : batch) pending.result = Failed(result);
  }
  Count(batch, result);
  main_.Post([batch = std::move(batch)]() mutable {
    for (Pending& pending : batch) pending.done(std::move(pending.result));
  });
}

// Store thread. Not OK: nothing of the batch is in the file; UNKNOWN: it may be there after a crash.
absl::Status StateStore::Transact(std::vector<Pending>& batch) {
  Sqlite& db = file_->db;
  const auto write = [&]() -> absl::Status {
    KINSOCK_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
    for (Pending& pending : batch) {
      const absl::Status written = WriteOne(pending.entry);
      if (written.ok()) continue;
      if (!IsOfTheEntry(written)) return written;
      KINSOCK_RETURN_IF_ERROR(db.Execute("ROLLBACK TO entry;RELEASE entry"));
      Log(LogLevel::kError, "store.entry_refused").With("file", path_).With("reason", written.message());
      pending.result = Failed(written);
    }
    return db.Execute("COMMIT");
  };
  const absl::Status result = write();
  // SQLite ends the transaction itself after some errors.
  if (!result.ok() && db.in_transaction()) db.Execute("ROLLBACK").IgnoreError();
  if (!absl::IsUnknown(result) || !WriteOver().ok()) return result;
  return absl::UnavailableError(result.message());
}

// After a commit that was written and not synced, SQLite goes on from before it, but the log has it: who reads the file
// after a crash would find it whole. The next transaction takes its place there, so one that changes nothing is made.
absl::Status StateStore::WriteOver() {
  Sqlite& db = file_->db;
  KINSOCK_ASSIGN_OR_RETURN(const int64_t version, db.Number("PRAGMA user_version"));
  return db.Execute(absl::StrCat("PRAGMA user_version=", version));
}

absl::Status StateStore::WriteOne(const JournalEntry& entry) {
  KINSOCK_RETURN_IF_ERROR(file_->db.Execute("SAVEPOINT entry"));
  KINSOCK_RETURN_IF_ERROR(tables_.Write(entry, std::chrono::system_clock::now()));
  return file_->db.Execute("RELEASE entry");
}

absl::Status StateStore::Failed(const absl::Status& reason) const {
  const char* const outcome =
      absl::IsUnknown(reason) ? "nothing was changed so far, but a restart may find it changed" : "nothing was changed";
  return Error(absl::StatusCode::kUnavailable, "STORE_FAILED",
               absl::StrCat("the change could not be written to \"", path_, "\": ", reason.message(), "; ", outcome,
                            ": look after the disk, and try again"))
      .With("path", path_)
      .RetryAfter(kRetryAfter);
}

// Store thread.
void StateStore::Count(const std::vector<Pending>& batch, const absl::Status& result) {
  const auto failed = static_cast<uint64_t>(
      std::count_if(batch.begin(), batch.end(), [](const Pending& pending) { return !pending.result.ok(); }));
  bool was_failing;
  {
    MutexLock lock(mutex_);
    unfinished_ -= batch.size();
    was_failing = !stats_.last_failure.empty();
    stats_.failed_entries += failed;
    if (result.ok()) {
      ++stats_.commits;
      stats_.entries += batch.size() - failed;
    }
    stats_.last_failure = std::string(result.message());
  }
  // Each time it begins and ends, not each time somebody tries again.
  if (!result.ok() && !was_failing) {
    Log(LogLevel::kError, "store.failed").With("file", path_).With("reason", result.message());
  }
  if (result.ok() && was_failing) Log(LogLevel::kInfo, "store.works_again").With("file", path_);
}

StateStoreStats StateStore::stats() const {
  MutexLock lock(mutex_);
  StateStoreStats stats = stats_;
  stats.commit_times = commit_times_.Read();
  return stats;
}

}  // namespace kinsock
