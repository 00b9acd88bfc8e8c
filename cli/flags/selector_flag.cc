// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/selector_flag.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/flags/number_range.h"

namespace kinsock {
namespace {

constexpr char kVmPrefix[] = "vms/";

std::string FullName(const std::string& vm) { return vm.rfind(kVmPrefix, 0) == 0 ? vm : kVmPrefix + vm; }
std::string ShortName(const std::string& vm) { return vm.substr(vm.rfind('/') + 1); }

}  // namespace

std::string ParseSelector(const std::string& text, v1::Policy::Selector& selector) {
  if (text.empty() || text == "any") return "";
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string item(part);
    uint32_t first = 0, last = 0;
    if (item == "host") {
      selector.set_host(true);
    } else if (item.rfind("group:", 0) == 0) {
      for (const absl::string_view group : absl::StrSplit(item.substr(6), '+')) selector.add_groups(std::string(group));
    } else if (item.rfind("cid:", 0) == 0 && ParseRange(item.substr(4), first, last)) {
      selector.mutable_cid_range()->set_first(first);
      selector.mutable_cid_range()->set_last(last);
    } else if (const size_t equals = item.find('='); equals != std::string::npos) {
      (*selector.mutable_labels())[item.substr(0, equals)] = item.substr(equals + 1);
    } else if (item.find(':') == std::string::npos && !item.empty()) {
      selector.set_vm(FullName(item));
    } else {
      return item.empty() ? text : item;
    }
  }
  return "";
}

std::string SelectorText(const v1::Policy::Selector& selector) {
  if (selector.host()) return "host";
  std::vector<std::string> parts;
  if (!selector.vm().empty()) parts.push_back(ShortName(selector.vm()));
  for (const auto& [key, value] : selector.labels()) parts.push_back(absl::StrCat(key, "=", value));
  if (selector.groups_size() > 0) parts.push_back(absl::StrCat("group:", absl::StrJoin(selector.groups(), "+")));
  if (selector.has_cid_range()) {
    parts.push_back(absl::StrCat("cid:", RangeText(selector.cid_range().first(), selector.cid_range().last())));
  }
  std::sort(parts.begin(), parts.end());
  return parts.empty() ? "any" : absl::StrJoin(parts, ",");
}

std::string ParsePorts(const std::vector<std::string>& texts, v1::Policy& policy) {
  for (const std::string& text : texts) {
    if (text == "any" && texts.size() == 1) break;
    uint32_t first = 0, last = 0;
    if (!ParseRange(text, first, last)) return text;
    v1::Policy::PortRange& range = *policy.add_ports();
    range.set_first(first);
    range.set_last(last);
  }
  return "";
}

std::string PortsText(const v1::Policy& policy) {
  if (policy.ports().empty()) return "any";
  return absl::StrJoin(policy.ports(), ",", [](std::string* out, const v1::Policy::PortRange& range) {
    absl::StrAppend(out, RangeText(range.first(), range.last()));
  });
}

}  // namespace kinsock
