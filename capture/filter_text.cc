// SPDX-License-Identifier: Apache-2.0
#include "capture/filter_text.h"

#include <linux/virtio_vsock.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "router/cid.h"

namespace kinsock {
namespace {

using Key = CaptureFilter::Key;

struct KeyName {
  std::string_view name;
  Key key;
};
constexpr KeyName kKeys[] = {
    {"vm", Key::kDevice},
    {"network", Key::kNetwork},
    {"direction", Key::kDirection},
    {"op", Key::kOp},
    {"cid", Key::kCid},
    {"src_cid", Key::kSourceCid},
    {"dst_cid", Key::kTargetCid},
    {"port", Key::kPort},
    {"src_port", Key::kSourcePort},
    {"dst_port", Key::kTargetPort},
};

using Values = std::vector<std::pair<std::string_view, uint64_t>>;
const Values& Directions() {
  static const Values* const values = new Values{{"from_guest", static_cast<uint64_t>(CaptureDirection::kFromGuest)},
                                                 {"to_guest", static_cast<uint64_t>(CaptureDirection::kToGuest)}};
  return *values;
}
const Values& Ops() {
  static const Values* const values = new Values{{"request", VIRTIO_VSOCK_OP_REQUEST},
                                                 {"response", VIRTIO_VSOCK_OP_RESPONSE},
                                                 {"rst", VIRTIO_VSOCK_OP_RST},
                                                 {"shutdown", VIRTIO_VSOCK_OP_SHUTDOWN},
                                                 {"rw", VIRTIO_VSOCK_OP_RW},
                                                 {"credit_update", VIRTIO_VSOCK_OP_CREDIT_UPDATE},
                                                 {"credit_request", VIRTIO_VSOCK_OP_CREDIT_REQUEST}};
  return *values;
}

absl::Status Bad(std::string_view what) { return absl::InvalidArgumentError(AbslView(what)); }

// What of `known`, pairs of which the first is a name, could have been meant by `wrong`.
template <typename Names, typename NameOf>
std::string Instead(std::string_view wrong, const Names& known, NameOf name_of) {
  std::vector<std::string_view> names;
  for (const auto& each : known) names.push_back(name_of(each));
  return absl::StrCat(
      "; there are ",
      absl::StrJoin(names, ", ", [](std::string* out, std::string_view name) { absl::StrAppend(out, AbslView(name)); }),
      DidYouMean(wrong, names));
}

std::optional<Key> KeyOf(std::string_view name) {
  for (const KeyName& each : kKeys) {
    if (each.name == name) return each.key;
  }
  return std::nullopt;
}

absl::StatusOr<uint64_t> OneOf(std::string_view key, std::string_view text, const Values& values) {
  for (const auto& [name, value] : values) {
    if (name == text) return value;
  }
  return Bad(absl::StrCat(Quoted(text), " is no ", AbslView(key),
                          Instead(text, values, [](const auto& value) { return value.first; })));
}

absl::StatusOr<uint64_t> ToValue(Key key, std::string_view name, std::string_view text) {
  if (key == Key::kDirection) return OneOf(name, text, Directions());
  if (key == Key::kOp) return OneOf(name, text, Ops());
  const bool is_cid = key == Key::kCid || key == Key::kSourceCid || key == Key::kTargetCid;
  if (is_cid && text == "host") return uint64_t{kHostCid};
  uint32_t number = 0;
  if (absl::SimpleAtoi(AbslView(text), &number)) return uint64_t{number};
  return Bad(absl::StrCat(Quoted(text), is_cid ? " is no CID; give a number, or host" : " is no port; give a number"));
}

// The id of what is named by its id, or in full.
std::string_view IdOf(Key key, std::string_view text) {
  const std::string_view prefix = key == Key::kDevice ? "vms/" : "networks/";
  return text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : text;
}

absl::Status AddTerm(std::string_view term, size_t& values_left, CaptureFilterText& filter) {
  const size_t equals = term.find('=');
  if (equals == std::string_view::npos || equals + 1 == term.size()) {
    return Bad(absl::StrCat(Quoted(term), " is no term; write KEY=VALUE or KEY!=VALUE, as in \"vm=web-1 port=22\""));
  }
  const bool negated = equals > 0 && term[equals - 1] == '!';
  const std::string_view name = term.substr(0, equals - (negated ? 1 : 0));
  const std::optional<Key> key = KeyOf(name);
  if (!key.has_value()) {
    return Bad(absl::StrCat(Quoted(name), " is nothing to filter by",
                            Instead(name, kKeys, [](const KeyName& each) { return each.name; })));
  }
  const bool by_id = *key == Key::kDevice || *key == Key::kNetwork;
  CaptureFilter::Term numbers{.key = *key, .negated = negated, .values = {}};
  CaptureFilterText::Named ids{.key = *key, .negated = negated, .ids = {}};
  for (const absl::string_view part : absl::StrSplit(AbslView(term.substr(equals + 1)), ',')) {
    const std::string_view text(part.data(), part.size());
    if (values_left-- == 0) {
      return Bad(
          absl::StrCat("has more than ", CaptureFilterText::kMaxValues, " values; capture more, and filter later"));
    }
    if (by_id) {
      ids.ids.emplace_back(IdOf(*key, text));
      continue;
    }
    const absl::StatusOr<uint64_t> value = ToValue(*key, name, text);
    if (!value.ok()) return value.status();
    numbers.values.push_back(*value);
  }
  if (by_id) {
    filter.named.push_back(std::move(ids));
  } else {
    filter.terms.push_back(std::move(numbers));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CaptureFilterText> CaptureFilterText::Parse(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return Bad(absl::StrCat("has ", text.size(), " bytes, at most ", kMaxBytes, " are taken; shorten it"));
  }
  CaptureFilterText filter;
  size_t values_left = kMaxValues;
  for (const absl::string_view word : absl::StrSplit(AbslView(text), absl::ByAnyChar(" \t\n"), absl::SkipEmpty())) {
    if (absl::EqualsIgnoreCase(word, "AND")) continue;
    if (absl::Status fault = AddTerm({word.data(), word.size()}, values_left, filter); !fault.ok()) return fault;
  }
  return filter;
}

}  // namespace kinsock
