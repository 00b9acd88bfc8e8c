// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_STATE_STORE_H_
#define KINSOCK_SERVER_STORE_STATE_STORE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/counter.h"
#include "base/duration_histogram.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/manager/vm_journal.h"
#include "server/model/saved_state.h"
#include "server/store/state_file.h"
#include "server/store/state_tables.h"

namespace kinsock {

// Upper bounds of the classes in which the time of a transaction is counted. A disk takes its fsync in milliseconds;
// one that is worn out, or shared by too many, in seconds.
inline constexpr std::array<std::chrono::nanoseconds, 8> kCommitTimes{
    std::chrono::milliseconds(1),   std::chrono::milliseconds(2),   std::chrono::milliseconds(5),
    std::chrono::milliseconds(10),  std::chrono::milliseconds(25),  std::chrono::milliseconds(100),
    std::chrono::milliseconds(500), std::chrono::milliseconds(2500)};

// What the store has done since it was opened. Plain value.
struct StateStoreStats {
  uint64_t commits = 0;          // transactions
  uint64_t entries = 0;          // mutations in them
  uint64_t failed_entries = 0;   // mutations whose transaction failed
  uint64_t refused_entries = 0;  // mutations that met kMaxQueued
  DurationCounts commit_times;   // of all transactions, those that failed included
  std::string last_failure;      // empty: the last transaction did not fail
};

// The state of the daemon in a file, so that it outlives it (docs/state.md).
//
//     main:   Commit() -> queue            ...            callbacks
//     store:              [all that is queued, one transaction, one fsync] -> posted to main
//
// What comes while a transaction is under way goes into the next one together: the disk is waited for once, whoever
// and however many wait (group commit). Within a transaction each entry is all or nothing, and one that cannot be
// written leaves the others alone; when the disk fails, all entries of the transaction fail, and the next one tries
// again. The data plane knows nothing of it.
//
// Thread: main, but for what is said otherwise. Destroyed on main, when nobody runs its loop any more or waits for a
// callback: what is queued is written first.
class StateStore final : public VmJournal {
 public:
  // Entries that wait for the disk: at some 40 KiB for the largest, 160 MiB that hostile clients can make it hold; a
  // thousand honest clients with four calls each. Beyond: UNAVAILABLE STORE_BUSY, counted as `refused_entries`.
  static constexpr size_t kMaxQueued = 4096;

  // When a client should try again after the disk refused: soon, it is a person or a program that makes room.
  static constexpr std::chrono::milliseconds kRetryAfter{1000};

  // Opens (or makes) the state in `directory` and reads all of it; blocks on the disk. Errors: StateFile::Open().
  // `main` outlives the store.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(EventLoop& main, const std::string& directory);
  ~StateStore() override;

  // What was there when it was opened. Once.
  SavedState TakeSaved() { return std::move(saved_); }

  void Commit(JournalEntry entry, Done done) override;

  bool is_new() const { return file_->is_new; }
  const std::string& path() const { return path_; }
  StateStoreStats stats() const;

 private:
  struct Pending {
    JournalEntry entry;
    Done done;
    absl::Status result;
  };

  StateStore(EventLoop& main, std::unique_ptr<StateFile> file, std::string path, StateTables tables, SavedState saved);
  void WriteQueued();
  absl::Status Transact(std::vector<Pending>& batch);
  absl::Status WriteOver();
  absl::Status WriteOne(const JournalEntry& entry);
  absl::Status Failed(const absl::Status& reason) const;
  void Count(const std::vector<Pending>& batch, const absl::Status& result);

  EventLoop& main_;
  const std::unique_ptr<StateFile> file_;  // the store thread's
  const std::string path_;
  SavedState saved_;
  StateTables tables_;  // the store thread's
  mutable Mutex mutex_;
  std::vector<Pending> queue_ ABSL_GUARDED_BY(mutex_);
  size_t unfinished_ ABSL_GUARDED_BY(mutex_) = 0;          // queued, or in the transaction under way
  StateStoreStats stats_ ABSL_GUARDED_BY(mutex_);          // without the times
  DurationHistogram<Counter, kCommitTimes> commit_times_;  // written by the store thread
  EventLoop loop_;                                         // the store thread's
  std::shared_ptr<Wakeup> queued_;
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_STATE_STORE_H_
