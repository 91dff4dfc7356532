"""Speed against peers, by stage and against length; memory of long jobs."""
