"""Ray jobs: bulk enrolment comes in an issue of its own."""
