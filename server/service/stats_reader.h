// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_STATS_READER_H_
#define KINSOCK_SERVER_SERVICE_STATS_READER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/convert/stats_report.h"
#include "server/manager/vm_manager.h"
#include "server/reactors/reactor_pool.h"
#include "server/reactors/shared_answer.h"

namespace kinsock {

// Reads the counters for whoever asks.
//
// Thread: main. Loop, manager and pool outlive it, and the pool has no callback under way when it goes.
class StatsReader {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<StatsReading>)>;

  // `instance`: id of this start of the daemon.
  StatsReader(EventLoop& main, VmManager& manager, ReactorPool& pool, std::string instance);

  // Reads what `question` is about. Of pairs the reactors are asked; everything else is read where it is counted,
  // before this returns. NOT_FOUND VM_NOT_FOUND.
  void Read(const StatsQuestion& question, Done done);

  // As ToProto() in stats_report.h, in the name of the daemon.
  v1::StatsReport Report(const StatsReading& now, const StatsReading* before, const StatsQuestion& question) const;

 private:
  VmManager& manager_;
  const std::string instance_;
  SharedAnswer<std::shared_ptr<const StatsReading>> pairs_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_STATS_READER_H_
