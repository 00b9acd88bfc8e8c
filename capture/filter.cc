// SPDX-License-Identifier: Apache-2.0
#include "capture/filter.h"

#include <algorithm>

namespace kinsock {
namespace {

bool Holds(const CaptureFilter::Term& term, const CapturePoint& point, const VsockHeader& header) {
  using Key = CaptureFilter::Key;
  const auto has = [&term](uint64_t value) {
    return std::find(term.values.begin(), term.values.end(), value) != term.values.end();
  };
  switch (term.key) {
    case Key::kDevice:
      return has(point.device);
    case Key::kNetwork:
      return has(point.network);
    case Key::kDirection:
      return has(static_cast<uint64_t>(point.direction));
    case Key::kOp:
      return has(header.op);
    case Key::kCid:
      return has(header.src_cid) || has(header.dst_cid);
    case Key::kSourceCid:
      return has(header.src_cid);
    case Key::kTargetCid:
      return has(header.dst_cid);
    case Key::kPort:
      return has(header.src_port) || has(header.dst_port);
    case Key::kSourcePort:
      return has(header.src_port);
    case Key::kTargetPort:
      return has(header.dst_port);
  }
  return false;
}

}  // namespace

bool CaptureFilter::Matches(const CapturePoint& point, const VsockHeader& header) const {
  return std::all_of(terms_.begin(), terms_.end(),
                     [&](const Term& term) { return Holds(term, point, header) != term.negated; });
}

}  // namespace kinsock
