// SPDX-License-Identifier: Apache-2.0
//
// What files may say to kinsockctl apply, and what it says of those that make no sense: manifest, message_faults.
#include "cli/manifest/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::vector<std::string> Problems(const std::string& text, Manifest& manifest) {
  std::vector<ConfigProblem> problems;
  ReadManifest(text, "f.yaml", manifest, problems);
  if (problems.empty()) problems = FindClashes(manifest);
  std::vector<std::string> texts;
  for (const ConfigProblem& problem : problems) texts.push_back(problem.ToString());
  return texts;
}

Manifest Read(const std::string& text) {
  Manifest manifest;
  EXPECT_THAT(Problems(text, manifest), IsEmpty()) << text;
  return manifest;
}

std::vector<std::string> ProblemsOf(const std::string& text) {
  Manifest manifest;
  return Problems(text, manifest);
}

TEST(ManifestTest, OneObjectOfEachKind) {
  const Manifest manifest = Read(
      "name: vms/web\nlabels: {tier: web, zone: \"1\"}\nspec: {cid: {staticCid: 42}, orphanTtl: 30s}\n"
      "---\nname: db\nspec:\n  tx_buffer_bytes: 4096\n"
      "---\nname: networks/lab\ncidRange: {first: 5000, last: 5999}\n"
      "---\n{\"name\": \"networks/lab/policies/closed\", \"priority\": 10}\n"
      "---\nname: forwards/ssh\nvm: vms/web\nguestPort: 22\nlisten: unix:/run/ssh\n");
  ASSERT_THAT(manifest.vms, SizeIs(2));
  EXPECT_EQ(manifest.vms[0].message.spec().cid().static_cid(), 42u);
  EXPECT_EQ(manifest.vms[0].message.labels().at("zone"), "1");
  EXPECT_EQ(manifest.vms[0].place, "f.yaml:1:1");
  EXPECT_EQ(manifest.vms[1].message.name(), "vms/db") << "a name alone is that of a VM";
  EXPECT_EQ(manifest.vms[1].message.spec().tx_buffer_bytes(), 4096u) << "both spellings are JSON's";
  EXPECT_EQ(manifest.vms[1].place, "f.yaml:5:1");
  ASSERT_THAT(manifest.networks, SizeIs(1));
  ASSERT_THAT(manifest.policies, SizeIs(1));
  ASSERT_THAT(manifest.forwards, SizeIs(1));
  EXPECT_EQ(manifest.forwards[0].message.guest_port(), 22u);
}

TEST(ManifestTest, ListsAsTheyArePrinted) {
  EXPECT_THAT(Read("vms:\n  - name: vms/a\n    spec: {}\n  - name: vms/b\nresourceVersion: x.1\n").vms, SizeIs(2));
  EXPECT_THAT(Read("[{name: vms/a}, {name: vms/b}]").vms, SizeIs(2));
  EXPECT_THAT(Read("{\"name\":\"vms/a\"}\n{\"name\":\"vms/b\"}\n").vms, SizeIs(2)) << "JSON, one a line";
  const Manifest dump = Read("{\"yaml\": \"vms: ...\", \"networks\": [{\"name\": \"networks/default\"}], \"vms\": []}");
  EXPECT_THAT(dump.networks, SizeIs(1));
}

TEST(ManifestTest, ConfigurationFilesOfBothDaemons) {
  const Manifest theirs = Read(
      "vms:\n  - guest_cid: 3\n    socket: /tmp/vm3.sock\n    uds_path: /tmp/vm3.vsock\n"
      "    groups: a+b\n  - guest_cid: 4\n    forward-cid: 1\n    forward-listen: 9001+9002\n");
  ASSERT_THAT(theirs.vms, SizeIs(2));
  const v1::Vm& first = theirs.vms[0].message;
  EXPECT_EQ(first.spec().cid().static_cid(), 3u);
  EXPECT_EQ(first.spec().uds().path(), "/tmp/vm3.vsock");
  EXPECT_THAT(first.spec().groups(), ElementsAre("a", "b"));
  EXPECT_FALSE(first.has_status());
  EXPECT_THAT(theirs.vms[1].message.spec().vsock_proxy().listen_ports(), ElementsAre(9001u, 9002u));
  EXPECT_EQ(theirs.vms[1].place, "f.yaml:6:5");

  const Manifest ours = Read(
      "# a comment, and another document before\nname: vms/x\n---\n"
      "state: {dir: /var/lib/kinsock}\nnetworks: [{name: lab, cid_range: 5000-5999}]\n"
      "policies: [{network: lab, name: closed, allow: false, to: {host: true}}]\n"
      "vms: [{name: web, labels: {tier: web}}]\nforwards: [{name: ssh, vm: web, guest_port: 22, listen: "
      "\"unix:/s\"}]\n");
  EXPECT_EQ(ours.networks.at(0).message.name(), "networks/lab");
  EXPECT_EQ(ours.policies.at(0).message.name(), "networks/lab/policies/closed");
  EXPECT_EQ(ours.vms.at(1).message.name(), "vms/web");
  EXPECT_EQ(ours.vms.at(1).place, "f.yaml:7:7") << "a place in the file, not in the document";
  EXPECT_EQ(ours.forwards.at(0).message.vm(), "vms/web");
  EXPECT_THAT(ours.left_out, ElementsAre("f.yaml: state"));
}

TEST(ManifestTest, AnEmptyFileDescribesNothing) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n---\n", "vms: []\n", "vms:\n"}) {
    EXPECT_EQ(Read(text).size(), 0u) << text;
  }
}

TEST(ManifestTest, EachFaultIsSaidWhereItStands) {
  const struct {
    const char* text;
    const char* problem;  // the beginning of it
  } kCases[] = {
      {"name: web\ncolour: red\n", "f.yaml:2:1: colour: is not a field of Vm"},
      {"name: web\nspec:\n  cid: {staticCidd: 3}\n",
       "f.yaml:3:9: spec.cid.staticCidd: is not a field of CidRequest (did you mean \"staticCid\"?)"},
      {"name: web\nspec: {cid: {staticCid: many}}\n",
       "f.yaml:2:25: spec.cid.staticCid: is not a number from 0 to 4294967295"},
      {"name: web\nspec: {groups: a}\n", "f.yaml:2:16: spec.groups: is not a list; write [...]"},
      {"name: web\nspec: {groups: [a, [b]]}\n", "f.yaml:2:20: spec.groups[1]: is not text"},
      {"name: web\nspec: 5\n", "f.yaml:2:7: spec: is not a map of fields"},
      {"name: web\nlabels: [a]\n", "f.yaml:2:9: labels: is not a map of texts"},
      {"name: web\nspec: {orphanTtl: soon}\n", "f.yaml:2:19: spec.orphanTtl: is not a time in seconds, \"30s\""},
      {"name: web\nspec: {allowSeqpacket: maybe}\n", "f.yaml:2:24: spec.allowSeqpacket: is neither true nor false"},
      {"name: networks/lab\ndefaultPolicy: MAYBE\n",
       "f.yaml:2:16: defaultPolicy: is none of SHARED_GROUP, ALLOW, DENY"},
      {"- name: vms/a\n- nam: vms/b\n", "f.yaml:2:3: has no name; give it one, as \"name: vms/web\""},
      {"vms:\n- name: vms/a\n- {name: vms/b, x: 1}\n", "f.yaml:3:17: vms[1].x: is not a field of Vm"},
      {"vms: [{name: vms/a}]\ncolours: []\n", "f.yaml:2:1: colours: is no list of objects"},
      {"vms: [{name: vms/a}]\nnetworks: {}\n", "f.yaml:2:11: networks: is not a list"},
      {"name: connections/5\n", "f.yaml:1:7: name: \"connections/5\" is nothing that can be applied"},
      {"vms: [{name: a, guest_cid: many}]\n", "f.yaml:1:28: vms[0].guest_cid: "},
      {"name: vms/x\n---\nvms:\n- {nam: a}\n", "f.yaml:4:4: vms[0].nam: is not a setting of a VM (did you mean"},
      {"name: [\n", "f.yaml:2:1: is not YAML: "},
      {"just words\n", "f.yaml:1:1: is neither an object nor a list of them"},
      {"name: \xff\n", "f.yaml: is not text in UTF-8"},
  };
  for (const auto& a_case : kCases) {
    EXPECT_THAT(ProblemsOf(a_case.text), ElementsAre(StartsWith(a_case.problem))) << a_case.text;
  }
}

TEST(ManifestTest, AllFaultsOfAFileAreSaid) {
  EXPECT_THAT(ProblemsOf("name: a\nx: 1\nspec: {y: 2, queueSize: -1}\n---\nnam: b\n---\nvms: [{guest_cid: x}]\n"),
              SizeIs(5));
}

TEST(ManifestTest, NoTwoObjectsHaveOneNameCidOrPath) {
  const struct {
    const char* text;
    const char* problem;
  } kCases[] = {
      {"[{name: vms/a}, {name: a}]", "f.yaml:1:17: name \"vms/a\" is already that of f.yaml:1:2; give each its own"},
      {"vms: [{guest_cid: 3, socket: /a}, {guest_cid: 4, socket: /a}]", "f.yaml:1:35: path \"/a\" is already that"},
      {"[{name: vms/a, spec: {uds: {path: /a}}},\n {name: vms/b, spec: {vhostUserSocket: /a}}]",
       "f.yaml:2:40: path \"/a\" is already that of f.yaml:1:35"},
      {"vms: [{guest_cid: 3, name: a}, {guest_cid: 3, name: b}]", "f.yaml:1:32: CID in networks/default \"3\" is"},
      {"[{name: forwards/a, vm: vms/v, listen: \"unix:/a\"}, {name: forwards/b, vm: vms/v, listen: \"unix:/a\"}]",
       "f.yaml:1:90: address \"unix:/a\" is already that"},
  };
  for (const auto& a_case : kCases) {
    EXPECT_THAT(ProblemsOf(a_case.text), ElementsAre(StartsWith(a_case.problem))) << a_case.text;
  }
  EXPECT_THAT(Read("[{name: vms/a, spec: {cid: {staticCid: 3}}},"
                   " {name: vms/b, spec: {network: networks/lab, cid: {staticCid: 3}}}]")
                  .vms,
              SizeIs(2))
      << "each network has its own CIDs";
}

TEST(ManifestTest, AFileThatGrowsWithoutEndIsRefused) {
  std::string bomb = "name: vms/a\nannotations:\n  a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1)), name(1, c);
    bomb += "  " + name + ": &" + name + " [*" + before + ",*" + before + ",*" + before + ",*" + before + ",*" +
            before + ",*" + before + ",*" + before + ",*" + before + ",*" + before + "]\n";
  }
  EXPECT_THAT(ProblemsOf(bomb), ElementsAre(HasSubstr("is more than a request may hold")));
  EXPECT_THAT(ProblemsOf("name: " + std::string(3000, '[')), SizeIs(1));
}

TEST(ManifestTest, AFieldOfTheDaemonsIsFoundInTheFile) {
  const Manifest manifest = Read("name: vms/a\nspec:\n  uds: {path: /a}\n  queueSize: 3\n");
  const auto& vm = manifest.vms.at(0);
  EXPECT_EQ(PlaceOfField(vm, "spec.uds.path"), "f.yaml:3:15");
  EXPECT_EQ(PlaceOfField(vm, "spec.queue_size"), "f.yaml:4:14");
  EXPECT_EQ(PlaceOfField(vm, "spec.cid"), "f.yaml:3:3") << "what it would be in";
  EXPECT_EQ(PlaceOfField(vm, "labels"), "f.yaml:1:1");
}

}  // namespace
}  // namespace kinsock
