// A real SQLite journal in a folder of its own that is removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "engine/runbook/journal.h"

namespace aeterna::engine::testing {

class TempJournal {
  public:
    TempJournal() {
        std::string pattern = std::filesystem::temp_directory_path() / "aeterna-journal-XXXXXX";
        directory = mkdtemp(pattern.data());
        path = directory + "/state/inner/journal.sqlite";
        journal = reopen();
    }
    ~TempJournal() {
        journal.reset();
        std::filesystem::remove_all(directory);
    }
    std::unique_ptr<Journal> reopen() const {
        Result<std::unique_ptr<Journal>> opened = open_sqlite_journal(path);
        EXPECT_TRUE(opened) << opened.error().to_string();
        return opened ? std::move(*opened) : nullptr;
    }
    std::string directory;
    std::string path;
    std::unique_ptr<Journal> journal;
};

}  // namespace aeterna::engine::testing
