// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_STATS_STREAM_H_
#define KINSOCK_SERVER_SERVICE_STATS_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/connection_service.pb.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/convert/stats_report.h"
#include "server/rpc/held_stream.h"
#include "server/rpc/watch_quota.h"
#include "server/service/stats_reader.h"

namespace kinsock {

// One StreamStats call: asks for a reading each interval, and sends by how much it has grown since the last one that
// was sent. While the client has not taken a report, none is made: the next covers the whole time. So a slow reader
// costs one reading, which is what the next report is measured against, and misses nothing but detail.
class StatsStream final : public HeldStream<StatsStream, v1::StatsReport> {
 public:
  static constexpr std::chrono::milliseconds kMinInterval{100};
  static constexpr std::chrono::hours kMaxInterval{1};
  static constexpr std::chrono::seconds kDefaultInterval{1};
  // Streams in the daemon: each holds a reading, at most some megabytes of pairs. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxStreams = 64;

  // The streams that are open. Main thread's.
  class Set {
   public:
    // Ends all of them, and refuses new ones, with `reason`.
    void Close(const absl::Status& reason);

   private:
    friend class StatsStream;
    std::set<StatsStream*> streams_;
    absl::Status closed_;
  };

  // Any thread. `main`, `reader` and `set` outlive the gRPC server, and main runs until it is shut down.
  static StatsStream* Start(EventLoop& main, StatsReader& reader, Set& set, const v1::StreamStatsRequest& request,
                            WatchQuota::Ticket ticket);

  ~StatsStream() override = default;

  void OnWriteDone(bool ok) override;

 private:
  StatsStream(EventLoop& main, StatsReader& reader, Set& set, const v1::StreamStatsRequest& request,
              WatchQuota::Ticket ticket);

  // Main thread.
  void Begin() override;
  absl::Status Check();
  void Arm();
  void Tick();
  void Take(absl::StatusOr<StatsReading> reading);
  void Stop() override;

  // Any thread.
  void Send(v1::StatsReport report);

  StatsReader& reader_;
  Set& set_;
  const v1::StreamStatsRequest request_;

  // Main thread's.
  StatsQuestion question_;
  std::chrono::nanoseconds interval_{};
  std::optional<StatsReading> last_;  // what the next report is measured against
  bool busy_ = false;                 // a reading is made, or a report is written
  std::optional<EventLoop::TimerId> timer_;

  // Under the lock of HeldStream.
  v1::StatsReport report_ ABSL_GUARDED_BY(mutex_);  // being written
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_STATS_STREAM_H_
