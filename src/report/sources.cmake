set(AETERNA_REPORT_SOURCES assist_text.cc lessons.cc material.cc post_mortem.cc scorecard_text.cc)
