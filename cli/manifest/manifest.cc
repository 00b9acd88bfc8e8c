// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/text.h"
#include "cli/manifest/config_messages.h"
#include "cli/manifest/message_faults.h"
#include "server/config/yaml_config.h"
#include "server/config/yaml_map.h"

namespace kinsock {
namespace {

constexpr const char* kLists[] = {"networks", "policies", "vms", "forwards"};

// What only a configuration file has.
constexpr const char* kSettings[] = {"api", "http", "state", "daemon", "defaults"};

// What a list of the API, or a dump of the daemon's configuration, has besides.
constexpr const char* kOfLists[] = {"nextPageToken", "resourceVersion", "yaml"};

bool IsOneOf(const std::string& key, const char* const* begin, const char* const* end) {
  return std::find(begin, end, key) != end;
}
bool IsList(const std::string& key) { return IsOneOf(key, std::begin(kLists), std::end(kLists)); }

// Whether an entry of a list is a message of the API; the other possibility is that of a configuration file.
bool IsMessage(const YAML::Node& entry) {
  if (!entry.IsMap()) return false;
  const YAML::Node name = entry["name"];
  if (name.IsDefined() && name.IsScalar() && absl::StrContains(name.Scalar(), "/")) return true;
  return entry["spec"].IsDefined() || entry["uid"].IsDefined();
}

class Reader {
 public:
  Reader(const std::string& text, const std::string& file, Manifest& manifest, std::vector<ConfigProblem>& problems)
      : text_(text), file_(file), faults_(file), manifest_(manifest), problems_(problems) {}

  void Read() {
    // The library reports by exceptions.
    try {
      for (const YAML::Node& document : YAML::LoadAll(text_)) ReadDocument(document);
    } catch (const YAML::Exception& error) {
      faults_.Add(error.mark, "", absl::StrCat("is not YAML: ", error.msg));
    }
    for (ConfigProblem& problem : faults_.Take()) problems_.push_back(std::move(problem));
  }

 private:
  void ReadDocument(const YAML::Node& document) {
    if (!document.IsDefined() || document.IsNull()) return;
    if (document.IsSequence()) {
      for (const YAML::Node& object : document) ReadObject(object, "");
      return;
    }
    if (!document.IsMap()) return faults_.Add(document.Mark(), "", "is neither an object nor a list of them");
    bool is_whole = false, has_messages = false;
    for (const auto& entry : document) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const bool is_of_list = IsOneOf(key, std::begin(kOfLists), std::end(kOfLists));
      has_messages = has_messages || is_of_list;
      is_whole = is_whole || is_of_list || IsList(key) || IsOneOf(key, std::begin(kSettings), std::end(kSettings));
      if (!IsList(key) || !entry.second.IsSequence()) continue;
      has_messages = has_messages || std::any_of(entry.second.begin(), entry.second.end(),
                                                 [](const YAML::Node& item) { return IsMessage(item); });
    }
    if (document["name"].IsDefined() || !is_whole) return ReadObject(document, "");
    has_messages ? ReadLists(document) : ReadConfig(document);
  }

  void ReadLists(const YAML::Node& document) {
    for (const auto& list : document) {
      const std::string key = list.first.IsScalar() ? list.first.Scalar() : "";
      if (IsOneOf(key, std::begin(kOfLists), std::end(kOfLists))) continue;
      if (!IsList(key)) {
        faults_.Add(list.first.Mark(), key, "is no list of objects");
        continue;
      }
      if (!list.second.IsSequence() && !list.second.IsNull()) {
        faults_.Add(list.second.Mark(), key, "is not a list; begin each object with \"- \"");
        continue;
      }
      for (size_t i = 0; i < list.second.size(); ++i) ReadObject(list.second[i], absl::StrCat(key, "[", i, "]"));
    }
  }

  void ReadObject(const YAML::Node& node, const std::string& path) {
    if (!node.IsMap()) return faults_.Add(node.Mark(), path, "is not a map of fields");
    const YAML::Node name = node["name"];
    if (!name.IsDefined() || !name.IsScalar() || name.Scalar().empty()) {
      return faults_.Add(node.Mark(), path, "has no name; give it one, as \"name: vms/web\"");
    }
    const std::string& text = name.Scalar();
    if (!absl::StrContains(text, "/")) return Add(node, path, "vms/" + text, manifest_.vms);
    if (absl::StartsWith(text, "vms/")) return Add(node, path, text, manifest_.vms);
    if (absl::StartsWith(text, "forwards/")) return Add(node, path, text, manifest_.forwards);
    if (absl::StartsWith(text, "networks/")) {
      const absl::string_view rest = absl::string_view(text).substr(text.find('/') + 1);
      if (absl::StrContains(rest, "/policies/")) return Add(node, path, text, manifest_.policies);
      if (!absl::StrContains(rest, "/")) return Add(node, path, text, manifest_.networks);
    }
    faults_.Add(name.Mark(), absl::StrCat(path, path.empty() ? "" : ".", "name"),
                absl::StrCat(Quoted(text),
                             " is nothing that can be applied; that are vms/VM, networks/NET, "
                             "networks/NET/policies/POLICY and forwards/FORWARD"));
  }

  template <typename Message>
  void Add(const YAML::Node& node, const std::string& path, const std::string& name,
           std::vector<Described<Message>>& objects) {
    if (!HasRoom(node)) return;
    Described<Message> object{{}, file_, faults_.Place(node.Mark()), node};
    if (!ReadMessage(node, path, faults_, object.message)) return;
    object.message.set_name(name);
    objects.push_back(std::move(object));
  }

  bool HasRoom(const YAML::Node& node) {
    if (manifest_.size() < kMaxManifestObjects) return true;
    if (!std::exchange(is_full_, true)) {
      faults_.Add(node.Mark(), "",
                  absl::StrCat("is one object more than ", kMaxManifestObjects, "; a daemon has less"));
    }
    return false;
  }

  // By the daemon's own reader. It is given the document alone, at the line where it stands.
  void ReadConfig(const YAML::Node& document) {
    const auto begin = static_cast<size_t>(std::max(document.Mark().pos, 0));
    const std::string alone = std::string(static_cast<size_t>(document.Mark().line), '\n') +
                              std::string(static_cast<size_t>(document.Mark().column), ' ') +
                              text_.substr(std::min(begin, text_.size()));
    const size_t before = problems_.size();
    YamlConfig config = ParseYamlConfig(alone, file_, problems_);
    if (problems_.size() > before) return;
    AddConfigured(config.networks, document, manifest_.networks);
    AddConfigured(config.policies, document, manifest_.policies);
    AddConfigured(config.vms, document, manifest_.vms);
    AddConfigured(config.forwards, document, manifest_.forwards);
    for (const auto& entry : document) {
      const std::string& key = entry.first.Scalar();
      if (!IsList(key)) manifest_.left_out.push_back(absl::StrCat(file_, ": ", key));
    }
  }

  template <typename Configured, typename Message>
  void AddConfigured(const std::vector<Configured>& from, const YAML::Node& document,
                     std::vector<Described<Message>>& objects) {
    for (const Configured& configured : from) {
      if (!HasRoom(document)) return;
      Described<Message> object;
      object.message = ToMessage(configured.creation);
      object.file = file_;
      object.place = configured.origin;
      objects.push_back(std::move(object));
    }
  }

  const std::string& text_;
  const std::string& file_;
  YamlFaults faults_;
  Manifest& manifest_;
  std::vector<ConfigProblem>& problems_;
  bool is_full_ = false;
};

}  // namespace

void ReadManifest(const std::string& text, const std::string& file, Manifest& manifest,
                  std::vector<ConfigProblem>& problems) {
  // Positions count bytes of what the library has decoded: UTF-8 without a mark is what it was given.
  if (!IsUtf8(text) || text.find('\0') != std::string::npos) {
    problems.push_back({file, "", "is not text in UTF-8"});
    return;
  }
  constexpr absl::string_view kMark = "\xef\xbb\xbf";
  if (absl::StartsWith(text, kMark)) return ReadManifest(text.substr(kMark.size()), file, manifest, problems);
  Reader(text, file, manifest, problems).Read();
}

template <typename Message>
std::string PlaceOfField(const Described<Message>& object, const std::string& field) {
  if (!object.node.IsDefined()) return object.place;
  return YamlFaults(object.file).Place(MarkOfField(object.node, field));
}

template std::string PlaceOfField(const Described<v1::Network>&, const std::string&);
template std::string PlaceOfField(const Described<v1::Policy>&, const std::string&);
template std::string PlaceOfField(const Described<v1::Vm>&, const std::string&);
template std::string PlaceOfField(const Described<v1::Forward>&, const std::string&);

}  // namespace kinsock
