// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_READER_H_
#define KINSOCK_CAPTURE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "absl/types/span.h"
#include "capture/session.h"
#include "capture/writer.h"

namespace kinsock {

// Takes what a session has seen out of its lanes, and makes a file of it. Packets of one reactor are in order; those of
// several are in the order of their times as far as they are there at the same moment.
//
// Not thread-safe: one at a time, any thread.
class CaptureReader {
 public:
  struct Limits {
    uint64_t packets = 0;  // so many at most; 0: any number
    uint64_t bytes = 0;    // of the file, but for the statistics at its end; 0: any number
  };

  CaptureReader(std::shared_ptr<CaptureSession> session, std::unique_ptr<CaptureWriter> writer, Limits limits);

  // The beginning of the file.
  void Begin(std::string& out);

  // kMore: `out` has as much as was wanted; kDrained: nothing is there now; kFull: a limit is reached, nothing more
  // will come. kNeedsNames: the points in unnamed() have to get names before anything else.
  enum class Progress : uint8_t { kMore, kDrained, kFull, kNeedsNames };
  // Appends packets until `out` has `most` bytes, or a little more.
  Progress Read(size_t most, std::string& out);

  // Appends what has been seen and lost since it was told last, point by point. False: some points need names first.
  bool AddStatistics(std::string& out);

  const std::vector<uint64_t>& unnamed() const { return unnamed_; }
  void Name(uint64_t point, CaptureInterface interface);

  uint64_t packets() const { return packets_; }
  const CaptureSession& session() const { return *session_; }

 private:
  struct Interface {
    CaptureInterface what;
    bool added = false;
    uint32_t number = 0;
    uint64_t seen_told = 0;
    uint64_t lost_told = 0;
  };

  // Packets that are taken from one lane before the others are looked at again. More: of those that come in meanwhile
  // more could stand out of order.
  static constexpr int kRun = 64;

  struct Run {
    RecordRing* ring;  // null: there is nothing
    uint64_t until;    // the time of the oldest record elsewhere
  };
  Run Earliest();
  Progress TakeRun(const Run& run, size_t most, std::string& out);
  Interface* Find(uint64_t point);
  Interface& Added(Interface& interface, std::string& out);
  Progress TakePacket(RecordRing& ring, absl::Span<const char> front, const CaptureRecord& record, std::string& out);

  const std::shared_ptr<CaptureSession> session_;
  const std::unique_ptr<CaptureWriter> writer_;
  const Limits limits_;
  uint64_t began_ = 0;
  absl::node_hash_map<uint64_t, Interface> interfaces_;  // by point; kMaxPoints of PointCounters, and the others
  uint64_t last_point_ = 0;
  Interface* last_interface_ = nullptr;  // what Find() gave last: packets come in runs
  uint32_t added_ = 0;
  std::vector<uint64_t> unnamed_;
  uint64_t packets_ = 0;
  uint64_t bytes_ = 0;
  bool full_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_READER_H_
