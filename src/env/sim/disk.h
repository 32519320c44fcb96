// Disk: files of the virtual machine. What append() wrote survives kill -9 of its writer, but only
// what was synced survives lose_power(), as env/files.h says.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/files.h"

namespace aeterna::sim {

class Process;

class Disk {
  public:
    struct Node {
        bool is_directory = false;
        std::string content;
        std::string durable;  // what a power loss leaves
        bool is_name_durable = true;
        int mode = 0600;
        env::Owner owner;
    };

    [[nodiscard]] Node* find(const std::string& path);
    // The parent must be a directory; kNotFound otherwise.
    [[nodiscard]] Result<Node*> make(const std::string& path);
    void make_directories(const std::string& path, int mode);
    [[nodiscard]] std::vector<std::string> list(const std::string& directory) const;
    [[nodiscard]] bool has_entries(const std::string& directory) const;
    void remove(const std::string& path) { nodes_.erase(path); }
    void remove_tree(const std::string& path);
    void lose_power();

    // Writes of everybody fail with kIo while it is full.
    void set_full(bool full) { is_full_ = full; }
    [[nodiscard]] bool is_full() const { return is_full_; }
    // How long a durable write of that process takes, asked before each; without it none takes any time.
    std::function<Duration(const Process& by, const std::string& path)> write_takes;
    [[nodiscard]] bool lock(const std::string& path) { return locks_.insert(path).second; }
    void unlock(const std::string& path) { locks_.erase(path); }

    // "/a/b" of "/a//b/./".
    [[nodiscard]] static std::string normal(const std::string& path);
    [[nodiscard]] static std::string parent_of(const std::string& path);

  private:
    std::map<std::string, Node> nodes_;
    std::set<std::string> locks_;
    bool is_full_ = false;
};

}  // namespace aeterna::sim
