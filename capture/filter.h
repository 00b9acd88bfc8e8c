// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_FILTER_H_
#define KINSOCK_CAPTURE_FILTER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "capture/point.h"
#include "router/vsock_header.h"

namespace kinsock {

// Which packets a capture is about: those for which all its terms hold. It looks at the private copy of a header and at
// where the packet passes, a few comparisons for each term, and changes nothing. Immutable once it is in use; any
// thread.
class CaptureFilter {
 public:
  enum class Key : uint8_t {
    kDevice,
    kNetwork,
    kDirection,
    kOp,
    kCid,
    kSourceCid,
    kTargetCid,
    kPort,
    kSourcePort,
    kTargetPort
  };

  // That what `key` names is one of `values`; kCid and kPort: that of one end or the other. Negated: that it is not.
  struct Term {
    Key key = Key::kDevice;
    bool negated = false;
    absl::InlinedVector<uint64_t, 4> values;
  };

  void Add(Term term) { terms_.push_back(std::move(term)); }
  bool Matches(const CapturePoint& point, const VsockHeader& header) const;

 private:
  std::vector<Term> terms_;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_FILTER_H_
