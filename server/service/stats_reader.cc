// SPDX-License-Identifier: Apache-2.0
#include "server/service/stats_reader.h"

#include "base/clock.h"

namespace kinsock {
namespace {

StatsReading Now() {
  StatsReading reading;
  reading.wall_time = std::chrono::system_clock::now();
  reading.time = Clock::Monotonic().Now();
  return reading;
}

}  // namespace

StatsReader::StatsReader(EventLoop& main, VmManager& manager, ReactorPool& pool, std::string instance)
    : manager_(manager), instance_(std::move(instance)), pairs_(main, [this, &pool](auto answer) {
        pool.SumPairs([this, answer = std::move(answer)](ReactorPool::Pairs sums) mutable {
          StatsReading reading = Now();
          reading.pairs = std::move(sums.pairs);
          reading.other = sums.other;
          // A VM that nobody can name any more.
          absl::erase_if(reading.pairs, [&](const auto& pair) {
            const bool named = manager_.OfDevice(pair.first.initiator.device) != nullptr &&
                               manager_.OfDevice(pair.first.target.device) != nullptr;
            if (!named) reading.other += pair.second;
            return !named;
          });
          answer(std::make_shared<const StatsReading>(std::move(reading)));
        });
      }) {}

void StatsReader::Read(const StatsQuestion& question, Done done) {
  if (question.scope != StatsQuestion::Scope::kPairs) {
    absl::StatusOr<VmStats> stats = question.vm.empty() ? manager_.TotalStats() : manager_.Stats(question.vm);
    if (!stats.ok()) return done(stats.status());
    StatsReading reading = Now();
    reading.stats = *std::move(stats);
    return done(std::move(reading));
  }
  if (!question.vm.empty()) {
    if (absl::StatusOr<VmSnapshotPtr> vm = manager_.Get(question.vm); !vm.ok()) return done(vm.status());
  }
  pairs_.Get([done = std::move(done)](const std::shared_ptr<const StatsReading>& reading) mutable { done(*reading); });
}

v1::StatsReport StatsReader::Report(const StatsReading& now, const StatsReading* before,
                                    const StatsQuestion& question) const {
  v1::StatsReport report =
      ToProto(now, before, question, [this](uint64_t device) { return manager_.OfDevice(device); });
  report.set_instance_id(instance_);
  return report;
}

}  // namespace kinsock
