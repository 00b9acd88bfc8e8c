// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_MAP_H_
#define KINSOCK_SERVER_CONFIG_YAML_MAP_H_

#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/config/config.h"
#include "server/status/error.h"

namespace kinsock {

// What is found wrong with a file, with its places. Not thread-safe.
class YamlFaults {
 public:
  // More are counted only: who has given a wrong file sees that from the first ones.
  static constexpr size_t kMaxProblems = 200;

  // `file`: its name, for messages.
  explicit YamlFaults(std::string file) : file_(std::move(file)) {}

  // "kinsock.yaml:3:5".
  std::string Place(const YAML::Mark& mark) const {
    return absl::StrCat(file_, ":", mark.line + 1, ":", mark.column + 1);
  }
  void Add(const YAML::Mark& mark, std::string field, std::string what) {
    if (++found_ <= kMaxProblems) problems_.push_back({Place(mark), std::move(field), std::move(what)});
  }

  // How many were added.
  size_t found() const { return found_; }
  std::vector<ConfigProblem> Take();

 private:
  const std::string file_;
  size_t found_ = 0;
  std::vector<ConfigProblem> problems_;
};

// One map of a configuration file: reads its entries, and says what is wrong with them below `field`, "vms[0]". Keys
// are the same with "-" and "_". Throws what yaml-cpp throws. Not thread-safe; refers to `node` and `faults`.
class YamlMap {
 public:
  using Reader = std::function<void(const YAML::Node& value)>;
  using Readers = std::map<std::string_view, Reader>;

  YamlMap(const YAML::Node& node, std::string field, YamlFaults& faults)
      : node_(node), field_(std::move(field)), faults_(faults), faults_before_(faults.found()) {}

  // Whether it is one; else: "is not a map; write <example>".
  bool IsMap(const char* example);

  // Calls the reader of each key. A key without one is no `noun`, "a setting".
  void Read(const Readers& readers, std::string_view noun = "a setting");

  // Each reads a value into `out`, or says what is wrong with it.
  void Text(const YAML::Node& value, std::string_view key, std::string& out);
  void Bool(const YAML::Node& value, std::string_view key, bool& out);
  // "30s", "2m", "1h30m"; rounded up to milliseconds, at most a year.
  void Time(const YAML::Node& value, std::string_view key, std::chrono::milliseconds& out);
  // {tier: web}
  void Texts(const YAML::Node& value, std::string_view key, std::map<std::string, std::string>& out);
  template <typename Number>
  void ReadNumber(const YAML::Node& value, std::string_view key, Number& out) {
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &out)) Say(value.Mark(), key, "is not a number");
  }
  // "1024-2047", or one number.
  template <typename Span>
  void Range(const YAML::Node& value, std::string_view key, Span& out) {
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(value.IsScalar() ? value.Scalar() : "", absl::MaxSplits('-', 1));
    out.first = out.last = 0;
    const bool good = absl::SimpleAtoi(ends.first, &out.first) &&
                      (ends.second.empty() ? (out.last = out.first, true) : absl::SimpleAtoi(ends.second, &out.last));
    if (!good) Say(value.Mark(), key, "is not a range; write 1024-2047");
  }
  void List(const YAML::Node& value, std::string_view key, const Reader& item, const char* example = "[...]");

  // The field of a key.
  std::string FieldOf(std::string_view key) const;
  void Say(const YAML::Mark& mark, std::string_view key, const std::string& what);
  // What validation found, by keys: said where the value of the key is.
  void SayOfKey(const std::string& key, const std::string& what);
  // The same of the fields of a message: "network.cid_range.first" is said where cid_range is, without `prefix`.
  void Say(const std::vector<FieldViolation>& violations, std::string_view prefix);

  bool failed() const { return faults_.found() > faults_before_; }
  YAML::Mark mark() const { return node_.Mark(); }

 private:
  const YAML::Node node_;
  const std::string field_;
  YamlFaults& faults_;
  const size_t faults_before_;
  std::map<std::string, YAML::Mark, std::less<>> places_;  // of values, by key
};

// Calls `read` for each entry of `list`, of which there may be `most`; `example`: what one looks like.
void ForEachYamlEntry(const YAML::Node& list, const char* field, const char* example, size_t most, YamlFaults& faults,
                      const std::function<void(YamlMap& entry, size_t index)>& read);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_MAP_H_
