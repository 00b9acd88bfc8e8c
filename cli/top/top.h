// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TOP_TOP_H_
#define KINSOCK_CLI_TOP_TOP_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/kinsock/v1/connection_service.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"

namespace kinsock {

// What happens now, from two looks at numbers that only grow.

// A VM, or a pair of them, between two looks. Each rate is for a second.
struct TopRow {
  std::string name;
  std::string state;         // of a VM; else empty
  uint64_t connections = 0;  // open, now
  double receive = 0;        // bytes, to the guest, or to the initiator of a pair
  double transmit = 0;       // bytes, from it
  double connects = 0;       // requests, those that were refused included
  double stalls = 0;         // times that credit was used up
  double drops = 0;          // packets that made no sense
};

class Top {
 public:
  // What has happened in the `seconds` since the last look; of what was not there then, nothing. Whoever is no longer
  // there is forgotten.
  std::vector<TopRow> LookAtVms(const v1::ListVmsResponse& vms, double seconds);
  std::vector<TopRow> LookAtPairs(const v1::StatsReport& report, double seconds);

 private:
  struct Counts {
    uint64_t receive = 0;
    uint64_t transmit = 0;
    uint64_t connects = 0;
    uint64_t stalls = 0;
    uint64_t drops = 0;
  };
  using ByUid = std::map<std::string, Counts>;

  void Rate(const std::string& uid, const Counts& now, double seconds, ByUid& seen, TopRow& row) const;

  ByUid last_;
};

// What rows can be sorted by: "receive", "transmit", "bytes", "conns", "connects", "stalls", "drops", "name".
const std::vector<std::string>& TopKeys();
void SortTop(const std::string& key, std::vector<TopRow>& rows);

// A table with a bar for the bytes of each, as wide as those of the first in that.
std::string RenderTop(const std::vector<TopRow>& rows, bool with_headers);

// "0", "999", "1.2K", "34M": four places at most.
std::string ShortNumber(double number);

// The first `lines` lines of `text`, each cut to `columns` characters.
std::string FitScreen(const std::string& text, size_t columns, size_t lines);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TOP_TOP_H_
