// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_map.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "server/model/vm_settings.h"

namespace kinsock {
namespace {

// Of labels and the like, read before they are counted and found to be too many: aliases make a lot out of a small
// file.
constexpr size_t kMaxTexts = 4096;

}  // namespace

std::vector<ConfigProblem> YamlFaults::Take() {
  if (found_ > kMaxProblems) {
    problems_.push_back({file_, "", absl::StrCat("has ", found_ - kMaxProblems, " more faults")});
  }
  return std::move(problems_);
}

bool YamlMap::IsMap(const char* example) {
  if (node_.IsMap()) return true;
  faults_.Add(node_.Mark(), field_, absl::StrCat("is not a map; write ", example));
  return false;
}

void YamlMap::Read(const Readers& readers, std::string_view noun) {
  std::map<std::string, YAML::Mark> seen;
  for (const auto& item : node_) {
    const YAML::Mark mark = item.first.Mark();
    if (!item.first.IsScalar()) {
      Say(mark, "", "a key is not a word");
      continue;
    }
    const std::string key = NormalSettingKey(item.first.Scalar());
    const auto [first, is_new] = seen.emplace(key, mark);
    if (!is_new) {
      Say(mark, key, absl::StrCat("was said already in line ", first->second.line + 1, "; keep one of them"));
      continue;
    }
    const auto reader = readers.find(key);
    if (reader == readers.end()) {
      std::vector<std::string_view> names;
      for (const auto& [name, unused] : readers) names.push_back(name);
      Say(mark, key, absl::StrCat("is not ", AbslView(noun), DidYouMean(key, names)));
      continue;
    }
    places_[key] = item.second.Mark();
    reader->second(item.second);
  }
}

void YamlMap::Text(const YAML::Node& value, std::string_view key, std::string& out) {
  if (!value.IsScalar()) return Say(value.Mark(), key, "is not text");
  out = value.Scalar();
}

void YamlMap::Bool(const YAML::Node& value, std::string_view key, bool& out) {
  if (value.IsScalar() && (value.Scalar() == "true" || value.Scalar() == "false")) {
    out = value.Scalar() == "true";
  } else {
    Say(value.Mark(), key, "is neither true nor false");
  }
}

void YamlMap::Time(const YAML::Node& value, std::string_view key, std::chrono::milliseconds& out) {
  absl::Duration time;
  if (!value.IsScalar() || !absl::ParseDuration(value.Scalar(), &time) || time < absl::ZeroDuration() ||
      time > absl::Hours(24 * 365)) {
    return Say(value.Mark(), key, "is not a time; write 60s or 2m");
  }
  // A time that is not zero must not become zero.
  out = absl::ToChronoMilliseconds(absl::Ceil(time, absl::Milliseconds(1)));
}

void YamlMap::Texts(const YAML::Node& value, std::string_view key, std::map<std::string, std::string>& out) {
  if (!value.IsMap()) return Say(value.Mark(), key, "is not a map; write {tier: web}");
  if (value.size() > kMaxTexts) return Say(value.Mark(), key, absl::StrCat("has more than ", kMaxTexts, " entries"));
  for (const auto& text : value) {
    if (!text.first.IsScalar() || !text.second.IsScalar()) {
      Say(text.first.Mark(), key, "has what is not text");
    } else if (!out.emplace(text.first.Scalar(), text.second.Scalar()).second) {
      Say(text.first.Mark(), key, absl::StrCat("has ", Quoted(text.first.Scalar()), " twice; keep one of them"));
    }
  }
}

void YamlMap::List(const YAML::Node& value, std::string_view key, const Reader& item, const char* example) {
  if (!value.IsSequence()) return Say(value.Mark(), key, absl::StrCat("is not a list; write ", example));
  for (const YAML::Node& each : value) item(each);
}

std::string YamlMap::FieldOf(std::string_view key) const {
  return absl::StrCat(field_, field_.empty() || key.empty() ? "" : ".", AbslView(key));
}

void YamlMap::Say(const YAML::Mark& mark, std::string_view key, const std::string& what) {
  faults_.Add(mark, FieldOf(key), what);
}

void YamlMap::SayOfKey(const std::string& key, const std::string& what) {
  const auto place = places_.find(key.substr(0, key.find_first_of(".[")));
  Say(place != places_.end() ? place->second : node_.Mark(), key, what);
}

void YamlMap::Say(const std::vector<FieldViolation>& violations, std::string_view prefix) {
  for (const FieldViolation& violation : violations) {
    const bool below = absl::StartsWith(violation.field, AbslView(prefix));
    SayOfKey(below ? violation.field.substr(prefix.size()) : violation.field, violation.description);
  }
}

void ForEachYamlEntry(const YAML::Node& list, const char* field, const char* example, size_t most, YamlFaults& faults,
                      const std::function<void(YamlMap& entry, size_t index)>& read) {
  if (list.IsNull()) return;
  if (!list.IsSequence()) {
    return faults.Add(list.Mark(), field, absl::StrCat("is not a list; begin each of the ", field, " with \"- \""));
  }
  if (list.size() > most) {
    return faults.Add(list.Mark(), field,
                      absl::StrCat("has ", list.size(), " entries, at most ", most, " are allowed"));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    YamlMap entry(list[i], absl::StrCat(field, "[", i, "]"), faults);
    if (entry.IsMap(example)) read(entry, i);
  }
}

}  // namespace kinsock
