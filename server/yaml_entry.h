// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_YAML_ENTRY_H_
#define KINSOCK_SERVER_YAML_ENTRY_H_

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/error.h"
#include "server/text.h"
#include "server/vm_settings.h"

namespace kinsock {

// What is wrong in a configuration file: place, field, what.
using YamlFault = std::function<void(const YAML::Mark&, const std::string& field, const std::string& what)>;
// "kinsock.yaml:3:5".
using YamlPlace = std::function<std::string(const YAML::Mark&)>;

// One map of the list, and what is found wrong with it.
class YamlEntry {
 public:
  YamlEntry(const YAML::Node& node, std::string field, const YamlFault& fault)
      : node_(node), field_(std::move(field)), fault_(fault) {}

  bool IsMap(const char* example) {
    if (node_.IsMap()) return true;
    Say(node_.Mark(), "", absl::StrCat("is not a map; write ", example));
    return false;
  }

  using Readers = std::map<std::string, std::function<void(const YAML::Node&)>>;
  void Read(const Readers& readers) {
    std::vector<std::string_view> names;
    for (const auto& [name, reader] : readers) names.push_back(name);
    for (const auto& item : node_) {
      const std::string key = item.first.IsScalar() ? NormalSettingKey(item.first.Scalar()) : "";
      const auto reader = readers.find(key);
      if (reader == readers.end()) {
        Say(item.first.Mark(), key, absl::StrCat("is not a setting", DidYouMean(key, names)));
        continue;
      }
      places_[key] = item.second.Mark();
      reader->second(item.second);
    }
  }

  void Text(const YAML::Node& value, const std::string& key, std::string& out) {
    if (!value.IsScalar()) return Say(value.Mark(), key, "is not text");
    out = value.Scalar();
  }
  template <typename Number>
  void ReadNumber(const YAML::Node& value, const std::string& key, Number& out) {
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &out)) Say(value.Mark(), key, "is not a number");
  }
  void Bool(const YAML::Node& value, const std::string& key, bool& out) {
    if (value.IsScalar() && (value.Scalar() == "true" || value.Scalar() == "false")) {
      out = value.Scalar() == "true";
    } else {
      Say(value.Mark(), key, "is neither true nor false");
    }
  }
  template <typename Span>
  void Range(const YAML::Node& value, const std::string& key, Span& out) {
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(value.IsScalar() ? value.Scalar() : "", absl::MaxSplits('-', 1));
    out.first = out.last = 0;
    const bool good = absl::SimpleAtoi(ends.first, &out.first) &&
                      (ends.second.empty() ? (out.last = out.first, true) : absl::SimpleAtoi(ends.second, &out.last));
    if (!good) Say(value.Mark(), key, "is not a range; write 1024-2047");
  }
  void List(const YAML::Node& value, const std::string& key, const std::function<void(const YAML::Node&)>& item) {
    if (!value.IsSequence()) return Say(value.Mark(), key, "is not a list; write [...]");
    for (const YAML::Node& each : value) item(each);
  }

  void Say(const YAML::Mark& mark, const std::string& key, const std::string& what) {
    failed_ = true;
    fault_(mark, absl::StrCat(field_, key.empty() ? "" : ".", key), what);
  }
  // What validation found: "network.cid_range.first" is said where cid_range is.
  void Say(const std::vector<FieldViolation>& violations, const std::string& prefix) {
    for (const FieldViolation& violation : violations) {
      std::string key = violation.field;
      if (absl::StartsWith(key, prefix)) key = key.substr(prefix.size());
      const auto place = places_.find(key.substr(0, key.find_first_of(".[")));
      Say(place != places_.end() ? place->second : node_.Mark(), key, violation.description);
    }
  }
  bool failed() const { return failed_; }
  const std::string& field() const { return field_; }

 private:
  const YAML::Node node_;
  const std::string field_;
  const YamlFault& fault_;
  std::map<std::string, YAML::Mark> places_;
  bool failed_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_YAML_ENTRY_H_
