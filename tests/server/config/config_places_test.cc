// SPDX-License-Identifier: Apache-2.0
//
// What a start would stumble over, said before it: kinsockd --check.
#include "server/config/config_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Fault;
using testing::Good;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlacesTest : public ::testing::Test {
 protected:
  // Nothing is in the runtime directory: it does not even exist.
  PlacesTest() { setenv("XDG_RUNTIME_DIR", dir_.path().c_str(), 1); }
  ~PlacesTest() override { unsetenv("XDG_RUNTIME_DIR"); }

  std::string File(const std::string& yaml) {
    std::ofstream(dir_ / "k.yaml", std::ios::trunc) << yaml;
    return dir_ / "k.yaml";
  }
  std::vector<std::string> Missing(const std::string& yaml) {
    std::vector<std::string> texts;
    for (const ConfigProblem& problem : FindMissingPlaces(Good({"--config", File(yaml)}))) {
      texts.push_back(problem.ToString());
    }
    return texts;
  }

  const testing::TempDir dir_;
};

TEST_F(PlacesTest, WhatTheDaemonMakesItselfMayBeMissing) {
  mkdir((dir_ / "state").c_str(), 0755);
  EXPECT_THAT(Missing(absl::StrCat(
                  "api: {listen: [\"unix:%t/kinsock/api.sock\"], viewer_socket: \"unix:%t/kinsock/view.sock\"}\n"
                  "http: {listen: \"unix:%t/kinsock/http.sock\"}\n"
                  "state: {dir: ",
                  dir_ / "state/kinsock",
                  "}\n"
                  "defaults: {socket_dir: \"%t/kinsock/vms\"}\n"
                  "vms: [{name: web-1, guest_cid: 42, socket: \"%t/kinsock/vms/web-1/vhost.sock\", "
                  "uds_path: \"%t/kinsock/vms/web-1/v.sock\"},\n"
                  "      {name: web-2, guest_cid: 43, socket: \"%t/kinsock/web-2.sock\"},\n"
                  "      {name: web-3, guest_cid: 44}]\n"
                  "forwards: [{name: ssh, vm: web-1, guest_port: 22, listen: \"unix:%t/kinsock/ssh.sock\"}]\n")),
              IsEmpty());
}

TEST_F(PlacesTest, EveryMissingDirectoryIsSaidWithItsPlace) {
  const std::string no = dir_ / "no";
  EXPECT_THAT(
      Missing(absl::StrCat("api: {listen: [\"unix:", no, "/api.sock\"]}\nstate: {dir: ", no, "/state}\n",
                           "vms: [{name: a, guest_cid: 3, socket: ", no, "/a.sock, uds_path: ", no,
                           "/a.uds},\n"
                           "      {name: b, guest_cid: 4, socket: \"%t/kinsock/vms/c/vhost.sock\"}]\n",
                           "forwards: [{name: f, vm: a, guest_port: 1, listen: \"unix:", no, "/f.sock\"}]\n")),
      ElementsAre(AllOf(HasSubstr("api.listen: "), HasSubstr("which does not exist; create the directory")),
                  HasSubstr("state.dir: "), HasSubstr("k.yaml:3:7: socket: "), HasSubstr("k.yaml:3:7: uds_path"),
                  AllOf(HasSubstr("k.yaml:4:7: socket: "), HasSubstr("vms/c, which does not exist")),
                  HasSubstr("k.yaml:5:12: listen: ")));
}

TEST_F(PlacesTest, WhatIsNoSocketIsNotTakenForOne) {
  std::ofstream(dir_ / "file") << "x";
  mkdir((dir_ / "open").c_str(), 0755);
  chmod((dir_ / "open").c_str(), 0777);
  EXPECT_THAT(Missing(absl::StrCat("state: {dir: ", dir_ / "file", "}\nvms: [{name: a, guest_cid: 3, socket: ",
                                   dir_ / "file", ", uds_path: ", dir_ / "open/a.uds", "}]\n")),
              ElementsAre(HasSubstr("state.dir: "), HasSubstr("is a regular file, not a socket"),
                          HasSubstr("to which everybody may write")));
}

TEST_F(PlacesTest, WhatSystemdHasMadeIsNotLookedAt) {
  Config config;
  config.api_sockets = {dir_ / "no/api.sock"};
  EXPECT_THAT(FindMissingPlaces(config), SizeIs(1));
  std::vector<ActivatedSocket> given;
  given.push_back({ActivatedSocket::Kind::kApi, dir_ / "no/api.sock", UniqueFd()});
  EXPECT_THAT(FindMissingPlaces(config, given), IsEmpty());
}

TEST_F(PlacesTest, SocketsInEachOthersWayAreFoundInTheFile) {
  const auto fault = [&](const std::string& yaml) { return Fault({"--config", File(yaml)}); };
  EXPECT_THAT(fault("vms: [{guest_cid: 3, socket: /r/a, uds_path: /r/x},\n"
                    "      {guest_cid: 4, socket: /r/x_5}]\n"),
              AllOf(HasSubstr("k.yaml:2:7: socket: socket path \"/r/x_5\" is where calls to the host arrive"),
                    HasSubstr("k.yaml:1:7")));
  EXPECT_THAT(fault("vms: [{guest_cid: 3, socket: /r/x_5},\n"
                    "      {guest_cid: 4, socket: /r/a, uds_path: /r/x}]\n"),
              HasSubstr("k.yaml:2:7: uds_path: socket path \"/r/x\" followed by a port would be the socket of"));
  EXPECT_THAT(fault("api: {listen: [\"unix:/r/api\"]}\nvms: [{guest_cid: 3, socket: /r/api}]\n"),
              HasSubstr("k.yaml:2:7: socket: socket path \"/r/api\" belongs to the API"));
  EXPECT_THAT(fault("api: {listen: [\"unix:/r/api\"]}\nhttp: {listen: \"unix:/r/api\"}\n"),
              HasSubstr("http.listen: socket path \"/r/api\" belongs to the API"));
  EXPECT_THAT(
      fault("vms: [{name: a, guest_cid: 3, socket: \"%t/kinsock/vms/b/vhost.sock\"}, {name: b, guest_cid: 4}]\n"),
      HasSubstr("vms/b/vhost.sock\" is already that of the VM at"));
  EXPECT_THAT(fault("vms: [{name: a, guest_cid: 3, socket: /r/a, uds_path: /r/x}]\n"
                    "forwards: [{name: f, vm: a, guest_port: 1, target: \"unix:/r/x_9\"}]\n"),
              HasSubstr("k.yaml:2:12: target: socket path \"/r/x_9\" is where calls to the host arrive"));
  EXPECT_THAT(fault("vms: [{name: a, guest_cid: 3, socket: /r/a, uds_path: /r/x}, {name: a, guest_cid: 4}]\n"),
              AllOf(HasSubstr("name \"a\" is already"), ::testing::Not(HasSubstr("path"))));
}

}  // namespace
}  // namespace kinsock
