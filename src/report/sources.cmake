set(AETERNA_REPORT_SOURCES assist_text.cc evidence.cc human_text.cc lessons.cc material.cc post_mortem.cc post_mortem_file.cc scorecard_text.cc)
